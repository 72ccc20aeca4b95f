use wasmeter_sdk::*;

struct Latency;

const WRITE_LATENCY: usize = position(Latency::METERS, "write.latency");

impl Pollster for Latency {
    const METERS: &'static [Declared] = &[gauge("read.latency", "ns")];
    const READS: &'static [Wanted] = &[];

    fn poll(_call: &Call<'_>, out: &mut Samples) -> Result<(), Failure> {
        out.emit(WRITE_LATENCY, Column::default());
        Ok(())
    }
}

register_pollster!(Latency);

fn main() {}
