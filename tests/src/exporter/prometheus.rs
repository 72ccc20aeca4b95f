//! Prometheus, as a process of its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Labels, page};
use crate::daemon::dashboards::RULES;
use crate::support::program::{Folder, until};

/// A server that asks the daemon twice a second, with the rules that operators are given. It is killed with this.
pub struct Prometheus {
    child: Child,
    address: String,
}

/// Whether there is one to test with. That there is none is told where tests tell what they lack.
pub fn installed() -> bool {
    let here = |program: &str| Command::new(program).arg("--version").output().is_ok();
    wasmeter_rig::has_or_say("prometheus", "prometheus", here("prometheus") && here("promtool"))
}

/// What `promtool check metrics` says of a page.
pub fn complaints(page: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = promtool.stdin.take().unwrap();
    let page = page.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(page.as_bytes()));
    let said = promtool.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    let code = if said.status.success() { String::new() } else { said.status.to_string() };
    format!("{}{}{code}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr))
}

/// What promtool says of something that is wrong; nothing if it is right.
pub fn promtool(arguments: &[&str]) -> String {
    let said = Command::new("promtool").args(arguments).output().unwrap();
    if said.status.success() {
        return String::new();
    }
    format!("{}{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr), said.status)
}

// === impl Prometheus ===

impl Prometheus {
    /// Starts one for a daemon at an address, whose certificate is in the folder.
    pub fn start(folder: &Folder, target: &str, password: &str) -> Self {
        let config = serde_json::json!({"rule_files": [RULES], "global": {"evaluation_interval": "1s"}, "scrape_configs": [{
            "job_name": "wasmeter",
            "scrape_interval": "500ms",
            "scrape_timeout": "500ms",
            "scheme": "https",
            "tls_config": {"ca_file": folder.path("certificate")},
            "basic_auth": {"username": "prometheus", "password": password},
            "static_configs": [{"targets": [target]}],
        }]});
        // JSON is YAML.
        folder.write("prometheus.yml", config.to_string());
        // Another program may take the port meanwhile; then the next one is tried.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let address = format!("127.0.0.1:{port}");
            let log = File::create(folder.path("prometheus.log")).unwrap();
            let child = Command::new("prometheus")
                .arg(format!("--config.file={}", folder.path("prometheus.yml").display()))
                .arg(format!("--storage.tsdb.path={}", folder.path("prometheus").display()))
                .arg(format!("--web.listen-address={address}"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            let mut started = Self { child, address };
            let is_ready = until("Prometheus is ready", || {
                if started.child.try_wait().unwrap().is_some() {
                    return Some(false);
                }
                let answer = std::net::TcpStream::connect(&started.address).map(|_| started.get("/-/ready"));
                answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 ")).then_some(true)
            });
            if is_ready {
                return started;
            }
        }
        panic!("Prometheus does not start: {}", folder.read("prometheus.log"));
    }

    /// Series and their values now.
    pub fn query(&self, query: &str) -> Vec<(Labels, f64)> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = self.json(&format!("/api/v1/query?query={encoded}"));
        let one = |result: &Value| {
            let labels = serde_json::from_value(result["metric"].clone()).unwrap();
            (labels, result["value"][1].as_str().unwrap().parse().unwrap())
        };
        answer["data"]["result"].as_array().unwrap_or_else(|| panic!("{answer}")).iter().map(one).collect()
    }

    /// The rules, and how they fare.
    pub fn rules(&self) -> Vec<Value> {
        let answer = self.json("/api/v1/rules");
        let groups = answer["data"]["groups"].as_array().unwrap_or_else(|| panic!("{answer}"));
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
    }

    /// The types of metrics.
    pub fn types(&self) -> BTreeMap<String, String> {
        let answer = self.json("/api/v1/metadata");
        let all = answer["data"].as_object().unwrap_or_else(|| panic!("{answer}"));
        all.iter().map(|(name, about)| (name.clone(), about[0]["type"].as_str().unwrap().to_owned())).collect()
    }

    fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        serde_json::from_str(&page::body(&answer)).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    fn get(&self, path: &str) -> String {
        let address = &self.address;
        page::ask(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
