//! What it costs to answer Prometheus.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use wasmeter::clock::SystemClock;
use wasmeter::config::Config;
use wasmeter::publish::prometheus::{Endpoint, Intake};

use crate::cycle::{self, Host};
use crate::measure::{Bars, Outcome, median, took};

/// With two disks and a network device each: a little more than the series of the bar.
const GUESTS: u32 = 2_500;
/// The bar is for so many series.
const SERIES: f64 = 100_000.0;

/// Runs it.
pub fn run(rounds: usize, bars: &mut Bars) -> Outcome {
    let (sandbox, _cache) = cycle::sandbox()?;
    let mut host = Host::new(GUESTS, &sandbox)?;
    let (config, _) = Config::parse("metrics: {listen: '127.0.0.1:0'}\n", None)?;
    let endpoint = Arc::new(Endpoint::new(Arc::new(SystemClock)));
    endpoint.prepare(&config)?;
    let feed = Intake::new(Arc::clone(&endpoint), &config);
    feed.begin();
    let address = *endpoint.addresses().first().ok_or("nothing is listened on")?;
    host.cycle()?;
    let (mut stores, mut pages, mut answers, mut bytes, mut series) = (Vec::new(), Vec::new(), Vec::new(), 0, 0);
    for _ in 0..rounds {
        let slot = host.cycle()?.slot;
        series = slot.len();
        stores.push(took(|| feed.store(&slot)).0);
        pages.push(took(|| endpoint.exporter().page().map(|piece| piece.len()).sum::<usize>()).0);
        let (answer, read) = took(|| answered(address));
        bytes = read?;
        answers.push(answer);
    }
    let per_bar = SERIES / series as f64 * 1e3;
    bars.note(&format!("{series} series: keep a slot's"), median(stores) / series as f64 * 1e9, "ns a series");
    bars.note(&format!("100,000 series, {} bytes each: write", bytes / series), median(pages) * per_bar, "ms");
    bars.at_most("100,000 series over TCP, who asks included", median(answers) * per_bar, 150.0, "ms");
    Ok(())
}

/// How long an answer is.
fn answered(address: SocketAddr) -> Result<usize, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
    let (mut buffer, mut all) = (vec![0; 1 << 20], 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(all),
            read => all += read,
        }
    }
}
