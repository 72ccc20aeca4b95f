use wasmeter_sdk::register_pollster;

struct Latency;

register_pollster!(Latency);

fn main() {}
