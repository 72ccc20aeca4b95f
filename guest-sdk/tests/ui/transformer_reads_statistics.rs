use wasmeter_sdk::*;

struct Rate;

impl Transformer for Rate {
    fn describe(_config: &str, inputs: &[Meter]) -> Result<Outputs, String> {
        Ok(inputs.to_vec().into())
    }

    fn convert(call: &Call<'_, Converting>, _inputs: &[Meter], batches: Vec<Batch>) -> Result<Vec<Batch>, Failure> {
        call.column("cpu.time")?;
        Ok(batches)
    }
}

register_transformer!(Rate);

fn main() {}
