use wasmeter_sdk::http::Error;
use wasmeter_sdk::testing::Host;
use wasmeter_sdk::{Failure, Pollster};

use super::*;

const PAGE: &str = r#"
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{code="200",path="/"} 1027 1395066363000
http_requests_total{path="/a,b}\"\\",code="200",} 3
http_requests_total{code="500"} 3
queue_length 2.5
temperature NaN
broken{code="200" 1
no_value
{} 4
http_requests_total_more{code="200"} 1000
"#;

const CONFIG: &str = r#"{
    "targets": [
        {"guest": "web-1", "url": "http://web-1.acme.example:9100/metrics"},
        {"guest": "b", "url": "http://web-2.acme.example:9100/metrics"},
        {"guest": "elsewhere", "url": "http://web-3.acme.example:9100/metrics"}
    ],
    "headers": {"authorization": "Bearer {{secret:app}}"},
    "series": [
        {"series": "http_requests_total", "labels": {"code": "200"}, "meter": "acme.requests", "unit": "request",
         "type": "cumulative"},
        {"series": "http_requests_total", "meter": "acme.requests.all", "unit": "request", "type": "cumulative"},
        {"series": "queue_length", "meter": "acme.queue", "type": "gauge"},
        {"series": "temperature", "meter": "acme.temperature", "unit": "C", "type": "gauge"}
    ]
}"#;

fn host() -> Host {
    let host = Host::new().config(CONFIG).attribute("id", [(0, "a"), (1, "b"), (2, "c"), (3, "a-vda")]);
    host.attribute("display_name", [(0, "web-1"), (1, "web-2"), (2, "web-9")]).parents([(3, 0)])
}

#[test]
fn chosen_series_become_meters_of_their_guests() {
    let host = host().answer("http://web-1.acme.example:9100/metrics", 200, PAGE);
    let mut host = host.answer("http://web-2.acme.example:9100/metrics", 200, "queue_length{} +4\n");
    let polled = host.poll::<HttpExporter>().unwrap();
    assert_eq!(polled.counts("acme.requests"), [(0, 1030)]);
    assert_eq!(polled.counts("acme.requests.all"), [(0, 1033)]);
    assert_eq!(polled.reals("acme.queue"), [(0, 2.5), (1, 4.0)]);
    assert_eq!(polled.names(), ["acme.requests", "acme.requests.all", "acme.queue"]);
    let requests = host.requests();
    assert_eq!(requests.len(), 2);
    assert!(requests.iter().all(|request| request.headers[1].value == "Bearer {{secret:app}}"), "{requests:?}");
}

#[test]
fn who_does_not_answer_costs_itself() {
    let host = host().answer("http://web-1.acme.example:9100/metrics", 503, "");
    let mut host = host.answer("http://web-2.acme.example:9100/metrics", 200, "queue_length 4\n");
    assert_eq!(host.poll::<HttpExporter>().unwrap().counts("acme.queue"), [(1, 4)]);
    assert_eq!(host.logs()[0].1, "web-1: the server answers with status 503");
    let timeout = Err(Error::Timeout("web-2 took too long".to_owned()));
    let mut host = host.answer_with("http://web-2.acme.example:9100/metrics", timeout);
    assert!(matches!(host.poll::<HttpExporter>(), Err(Failure::Unavailable(text)) if text.contains("503")));
}

#[test]
fn what_is_not_granted_is_named() {
    let error = host().poll::<HttpExporter>().unwrap_err();
    let expected = "`grants: {http: [GET http://web-1.acme.example:9100/metrics]}` (`--grant 'http=GET http://web-1.acme.example:9100/metrics'`) would allow it";
    assert!(matches!(&error, Failure::Failed(text) if text.contains(expected)), "{error:?}");
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused() {
    let describe = |config: &str| HttpExporter::describe(config).unwrap_err();
    assert!(describe("{}").contains("missing field"));
    assert!(describe(r#"{"targets": [], "series": []}"#).contains("at least one entry"));
    let twice = CONFIG.replace("acme.requests.all", "acme.requests");
    assert!(describe(&twice).contains("series[1]: the meter acme.requests has a series already"));
    assert!(describe(&CONFIG.replace("\"b\"", "\"web-1\"")).contains("targets[1]: web-1 has an endpoint already"));
    assert_eq!(HttpExporter::describe(CONFIG).unwrap().meters.len(), 4);
}
