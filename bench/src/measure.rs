//! CPU time, medians and bars.

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;

use rustix::time::{ClockId, clock_gettime};

/// How a part of the benchmark ends.
pub type Outcome = Result<(), Box<dyn Error>>;

/// What is promised, and what was measured.
#[derive(Debug, Default)]
pub struct Bars {
    missed: usize,
}

// === impl Bars ===

impl Bars {
    /// Compares a figure with the most that it may be.
    pub fn at_most(&mut self, what: &str, figure: f64, most: f64, unit: &str) {
        let met = figure <= most;
        self.missed += usize::from(!met);
        let verdict = if met { "met" } else { "MISSED" };
        println!("{what:<58} {figure:>9.2} {unit:<10} at most {most:>7.2}  {verdict}");
    }

    /// Compares a figure with the least that it may be.
    pub fn at_least(&mut self, what: &str, figure: f64, least: f64, unit: &str) {
        let met = figure >= least;
        self.missed += usize::from(!met);
        let verdict = if met { "met" } else { "MISSED" };
        println!("{what:<58} {figure:>9.2} {unit:<10} at least {least:>6.2}  {verdict}");
    }

    /// A figure without a bar.
    pub fn note(&self, what: &str, figure: f64, unit: &str) {
        println!("{what:<58} {figure:>9.2} {unit}");
    }

    /// Whether all were met.
    pub fn verdict(&self) -> ExitCode {
        match self.missed {
            0 => ExitCode::SUCCESS,
            missed => {
                println!("{missed} bars were missed");
                ExitCode::FAILURE
            }
        }
    }
}

/// CPU seconds of this process, all threads.
pub fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// CPU seconds that something takes.
pub fn took<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begin = cpu();
    let result = work();
    (cpu() - begin, result)
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A fixed amount of work.
pub fn calibrate() -> f64 {
    let steps = || {
        let mut x = black_box(88_172_645_463_325_252_u64);
        for _ in 0..100_000_000 {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
        black_box(x)
    };
    took(steps).0
}
