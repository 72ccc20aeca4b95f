//! What goes wrong in running at all: time, memory, the stack, the end, the standard streams.

use std::hint::black_box;
use std::io::Read;

use wasmeter_sdk::Failure;
use wasmeter_sdk::bindings::pollster::wasmeter::plugin::{clock, log};

use crate::unknown;

/// More than a module may hold.
pub const HUGE: usize = 1 << 30;

pub fn run(wrong: &str) -> Result<(), Failure> {
    match wrong {
        "loop" => forever(),
        "call the host without end" => loop {
            black_box(clock::read_at());
        },
        "recurse" => drop(recurse(0)),
        "allocate at once" => drop(black_box(vec![1u8; HUGE])),
        "allocate by and by" => {
            let mut all = Vec::new();
            loop {
                all.push(black_box(vec![1u8; 1 << 16]));
            }
        }
        "panic" => panic!("poll is told to panic"),
        "divide by zero" => drop(black_box(1 / black_box(0u32))),
        "exit" => std::process::exit(0),
        "fail" => return Err("poll is told to fail".into()),
        "fail at length" => return Err("x".repeat(crate::LONG).into()),
        "be unsupported" => return Err(Failure::Unsupported("this host".into())),
        "be unavailable" => return Err(Failure::Unavailable("this time".into())),
        "print" => (0..1_000).for_each(|n| println!("line {n} {}", "x".repeat(2_000))),
        "print without end" => loop {
            eprintln!("{}", "x".repeat(2_000));
        },
        "log" => (0..1_000).for_each(|n| log::log(log::Level::Info, &format!("line {n}\n{}", "ü".repeat(2_000)))),
        "log without end" => loop {
            log::log(log::Level::Error, "x");
        },
        "read standard input without end" => loop {
            drop(black_box(std::io::stdin().read(&mut [0; 64])));
        },
        other => return Err(unknown(other)),
    }
    Ok(())
}

pub fn forever() {
    let mut turns = 0u64;
    loop {
        turns = black_box(turns + 1);
    }
}

#[allow(unconditional_recursion, reason = "that is its purpose")]
pub fn recurse(depth: u64) -> u64 {
    let here = black_box([depth; 16]);
    recurse(depth + 1) + here.iter().sum::<u64>()
}
