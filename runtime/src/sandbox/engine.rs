//! The engine: which WebAssembly there is, and how instances are kept.

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::limits::{CORE_INSTANCES, MEMORIES, MEMORY_CEILING, TABLE_ELEMENTS, TABLES};

/// Instances that live at once. One runs on each core and a few wait for their turn; the rest queue.
pub const OPERATORS_SLOTS: u32 = 16;
/// The same of tenants' modules. Each tenant has a few at once, and they are kept while they wait for their turns.
pub const TENANTS_SLOTS: u32 = 64;
/// Deployments whose modules may make requests. They wait for servers, so each has an instance of its own, and nobody
/// waits for somebody else's server.
pub const ASKING_DEPLOYMENTS: usize = 120;
/// Their instances, with room for those that are tried out, and for what is left of deployments that are gone.
pub const ASKING_SLOTS: u32 = 128;
const SLOTS: u32 = OPERATORS_SLOTS + TENANTS_SLOTS + ASKING_SLOTS;
/// Memory that is zeroed in place instead of being given back: a module's own and a heap for several hundred guests.
/// Fresh pages cost more than all that a module does with them. Where the kernel tells which pages were written, only
/// those are zeroed. Times the slots, it is what modules that write everywhere can have the daemon keep.
const KEEP_RESIDENT: usize = 1 << 20;
/// Tables that are zeroed in place likewise: all that may be in one.
const KEEP_TABLES: usize = TABLE_ELEMENTS * size_of::<usize>();
/// Stack that is zeroed in place likewise.
const KEEP_STACK: usize = 16 << 10;

/// What every engine of this daemon agrees on, so that what one compiles the other can run.
fn common() -> Config {
    let mut config = Config::new();
    config.consume_fuel(true);
    // Halves the cost of host calls, and there are no asynchronous components to serve.
    config.concurrency_support(false);
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_tail_call(false);
    config.wasm_relaxed_simd(false);
    config.wasm_wide_arithmetic(false);
    config
}

/// The engine that runs modules.
pub fn running() -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::new();
    let (instances, memories, tables) = (count(CORE_INSTANCES), count(MEMORIES), count(TABLES));
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * instances)
        .max_core_instances_per_component(instances)
        .total_memories(SLOTS * memories)
        .max_memories_per_component(memories)
        .total_tables(SLOTS * tables)
        .max_tables_per_component(tables)
        .table_elements(TABLE_ELEMENTS)
        .total_stacks(SLOTS)
        .max_memory_size(MEMORY_CEILING)
        // Every slot stays mapped for the module that was in it last. With fewer, a small module's call costs twice.
        .max_unused_warm_slots(SLOTS)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(KEEP_TABLES)
        .pagemap_scan(Enabled::Auto)
        .async_stack_keep_resident(KEEP_STACK);
    let mut config = common();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// An engine that only compiles, and reserves nothing.
pub fn compiling() -> wasmtime::Result<Engine> {
    Engine::new(&common())
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
