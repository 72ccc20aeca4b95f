use wasmeter_sdk::register_transformer;

struct Rate;

register_transformer!(Rate);

fn main() {}
