//! Both loops against the echo: every message must come back as its own answer, whatever its size.

use std::io::Result;
use std::net::SocketAddr;
use std::thread;

use argosy_load::load::Load;
use argosy_load::request::Request;
use argosy_load::{closed_loop, echo, open_loop};
use mio::net::TcpListener;

fn load(messages: &[Vec<u8>], connections: usize) -> Result<Load> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?;
    thread::spawn(move || echo::serve(listener));
    Load::connect(address, Request::new(&address.to_string(), "/a.B/C", &[], messages), connections)
}

fn assert_each_came_back(load: &Load, messages: &[Vec<u8>], count: u64) {
    assert_eq!((load.tally.errors, load.tally.latencies_ns.len() as u64), (0, count));
    for (message, ways) in messages.iter().zip(&load.tally.answers.ways) {
        assert_eq!(ways.as_slice(), [(message.clone(), count / messages.len() as u64)]);
    }
}

#[test]
fn small_messages_come_back_on_one_connection() {
    let messages = [b"one".to_vec(), b"two".to_vec()];
    let mut load = load(&messages, 1).unwrap();
    closed_loop::run(&mut load, 32, 1, 1000).unwrap();
    assert_each_came_back(&load, &messages, 1000);
}

#[test]
fn messages_larger_than_a_window_come_back_on_several_connections() {
    let messages = [vec![1; 200_000], vec![2; 70_000]];
    let mut load = load(&messages, 4).unwrap();
    closed_loop::run(&mut load, 8, 4, 60).unwrap();
    assert_each_came_back(&load, &messages, 60);
}

#[test]
fn a_rate_is_kept() {
    let messages = [b"one".to_vec()];
    let mut load = load(&messages, 2).unwrap();
    let elapsed_ns = open_loop::run(&mut load, 2000.0, 2, 200).unwrap();
    assert_each_came_back(&load, &messages, 200);
    assert!(elapsed_ns >= 199 * 500_000, "{elapsed_ns}");
}

#[test]
fn an_address_where_nobody_listens_is_an_error() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    assert!(Load::connect(address, Request::new("", "/a.B/C", &[], &[Vec::new()]), 1).is_err());
}
