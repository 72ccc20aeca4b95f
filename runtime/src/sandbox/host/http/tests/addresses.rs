//! Where connections go, and where they do not.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::lab::{Lab, Server, get, text};
use crate::sandbox::host::http::{Allowance, Client, Limits, Network, Permissions, Rate, Refused, Secrets, Usage};

/// The same port on two addresses.
async fn twins(one: &str, other: &str) -> (TcpListener, TcpListener) {
    let (one, other): (IpAddr, IpAddr) = (one.parse().unwrap(), other.parse().unwrap());
    for _ in 0..100 {
        let first = TcpListener::bind((one, 0)).await.unwrap();
        if let Ok(second) = TcpListener::bind((other, first.local_addr().unwrap().port())).await {
            return (first, second);
        }
    }
    panic!("no port is free on both");
}

#[tokio::test]
async fn servers_are_reached_at_granted_addresses_by_both_protocols() {
    for address in ["127.0.0.1", "::1"] {
        let server = Server::http(address, |seen| text(&seen.headers["host"])).await;
        let mut lab = Lab::new();
        let url = lab.name("metrics.example", &server);
        let response = lab.get(&format!("{url}/x?y")).await.unwrap();
        assert_eq!((response.status, response.body), (200, url.strip_prefix("http://").unwrap().as_bytes().to_vec()));
        assert_eq!(server.requests()[0].line, "GET /x?y");
        // The address itself may stand in the URL as well.
        let literal = format!("http://{}/", server.address);
        lab.grants.push(literal.clone());
        assert_eq!(lab.get(&literal).await.unwrap().status, 200);
        assert_eq!(*lab.names.asked.lock().unwrap(), ["metrics.example"]);
    }
}

#[tokio::test]
async fn a_name_that_changes_its_address_leads_nowhere_new() {
    let (public, internal) = twins("127.0.0.1", "127.0.0.2").await;
    let public = Server::on(public, |stream| super::lab::answer(stream, |_| text("public"), Arc::default()));
    let internal = Server::on(internal, |stream| super::lab::answer(stream, |_| text("internal"), Arc::default()));
    let mut lab = Lab::new();
    let url = lab.name("rebinding.example", &public);
    lab.names.set("rebinding.example", [&["127.0.0.1"], &["127.0.0.2"]]);

    // One look-up for a request: were there a second one, it would lead to the other server.
    assert_eq!(lab.get(&url).await.unwrap().body, b"public");
    assert_eq!(lab.names.asked.lock().unwrap().len(), 1);

    let refused = lab.get(&url).await.unwrap_err();
    assert_eq!(refused.word(), "denied");
    let said = refused.to_string();
    assert_eq!(
        said,
        "rebinding.example has an address that is not public, so no connection is made; if it is meant, the operator \
         has to grant the address too (`grants.addresses`, `--grant address`)"
    );
    assert!(refused.for_operator().ends_with(" (127.0.0.2: loopback)"));
    assert_eq!((public.requests().len(), internal.requests().len()), (1, 0));
}

#[tokio::test]
async fn one_bad_address_spoils_an_answer() {
    let server = Server::http("127.0.0.1", |_| text("reached")).await;
    let mut lab = Lab::new();
    let url = lab.name("mixed.example", &server);
    for bad in
        ["169.254.169.254", "10.0.0.1", "::ffff:10.0.0.1", "fd00:ec2::254", "64:ff9b::7f00:2", "0.0.0.0", "127.0.0.2"]
    {
        for answer in [&["127.0.0.1", bad][..], &[bad, "127.0.0.1"], &[bad]] {
            lab.names.set("mixed.example", [answer]);
            let (word, said) = lab.refused(get(&url)).await;
            assert!(word == "denied" && !said.contains(bad) && !said.contains("127.0.0.1"), "{said}");
        }
    }
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn the_next_address_is_tried_if_nobody_listens_at_the_first() {
    let (first, second) = twins("127.0.0.1", "127.0.0.2").await;
    let server = Server::on(second, |stream| super::lab::answer(stream, |_| text("second"), Arc::default()));
    drop(first);
    let mut lab = Lab::new();
    lab.addresses.push("127.0.0.2".to_owned());
    let url = lab.name("two.example", &server);
    lab.names.set("two.example", [&["127.0.0.1", "127.0.0.2"]]);
    assert_eq!(lab.get(&url).await.unwrap().body, b"second");
    lab.names.set("two.example", [&["127.0.0.1", "::1"]]);
    let port = server.address.port();
    let said = format!("two.example cannot be connected to at port {port}: nobody listens there");
    assert_eq!(lab.refused(get(&url)).await, ("unreachable", said));
}

#[tokio::test]
async fn what_has_no_address_is_not_asked() {
    let mut lab = Lab::new();
    lab.grants.extend(["http://a.example".to_owned(), "http://b.example".to_owned()]);
    lab.names.set("b.example", [&[]]);
    for host in ["a.example", "b.example"] {
        let said = format!("{host} has no address, or it cannot be looked up now");
        assert_eq!(lab.refused(get(&format!("http://{host}/"))).await, ("unresolved", said));
    }
}

#[tokio::test]
async fn an_address_in_a_url_is_granted_apart() {
    let granted = |addresses: Vec<&str>| {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let grants = vec!["GET,POST http://10.1.2.3:8080/api/".parse().unwrap()];
        Permissions::new(grants, addresses, Secrets::default(), Limits::default(), Arc::new(Rate::per_minute(1)))
    };
    let error = granted(vec!["10.1.2.4"]).unwrap_err().to_string();
    assert_eq!(error, "GET,POST http://10.1.2.3:8080/api/: 10.1.2.3 is not a public address (private)");
    assert!(granted(vec!["10.1.0.0/16"]).is_ok());
}

/// Looks up names and never finds them.
#[derive(Debug)]
struct Silent;

impl crate::sandbox::host::http::resolve::Resolver for Silent {
    fn resolve(
        &self,
        _: &str,
        permit: tokio::sync::OwnedSemaphorePermit,
    ) -> futures_util::future::BoxFuture<'_, std::io::Result<Vec<IpAddr>>> {
        // The work goes on when nobody waits any more.
        std::mem::forget(permit);
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_never_ends_is_given_up_and_holds_only_its_own_deployment() {
    let mut lab = Lab::new();
    lab.grants.push("http://a.example".to_owned());
    let tls = crate::sandbox::host::http::tls::trusting(tokio_rustls::rustls::RootCertStore::empty()).unwrap();
    let client = Client::new(Network::new(Arc::new(Silent), tls), lab.clock.clone());
    let permissions = lab.permissions();
    let allowance = Allowance { time: Limits::default().deadline, fuel: u64::MAX };
    let mut usage = Usage::default();
    for _ in 0..3 {
        let refused = client.send(&permissions, get("http://a.example/"), allowance, &mut usage).await.unwrap_err();
        assert!(matches!(refused, Refused::Timeout { .. }));
        assert_eq!(
            refused.to_string(),
            "a.example took too long, looking up its name: the requests of a call have 5s together; \
             the operator can grant more (`grants.requests.time`)"
        );
    }
    // Only the first one got as far as a look-up of its own.
    assert_eq!((usage.requests, usage.lookups), (3, 1));
}
