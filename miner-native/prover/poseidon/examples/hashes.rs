//! Nanoseconds of one core a hash: neptune, the portable kernel, IFMA, in turns, beside the limit of the processor's
//! multiplications. `cargo run --release -p sealdrop-poseidon --example hashes`
#![allow(clippy::unwrap_used)] // What tests share: what goes wrong fails the test.

use blstrs::Scalar;
use ff::Field;
use neptune::poseidon::{Arity as NeptuneArity, PoseidonConstants};
use sealdrop_poseidon::{multiply, Arity, Cost, Kernel, Poseidon, NODE};
use std::hint::black_box;
use typenum::{U11, U2, U8};

const TURNS: usize = 9;

fn cpu_ns() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the answer.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn timed(count: u64, f: impl FnOnce()) -> f64 {
    let before = cpu_ns();
    f();
    (cpu_ns() - before) / count as f64
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn measure<A: NeptuneArity<Scalar>>(arity: Arity) {
    let constants = PoseidonConstants::<Scalar, A>::new();
    let elements: Vec<Scalar> = (0..256 * arity.elements())
        .map(|_| Scalar::random(rand_core::OsRng))
        .collect();
    let nodes: Vec<u8> = elements.iter().flat_map(Scalar::to_bytes_le).collect();
    let mut hashes = vec![0; 256 * NODE];
    let mut times: [Vec<f64>; 5] = Default::default();
    for _ in 0..TURNS {
        times[0].push(timed(256, || {
            for elements in elements.chunks(arity.elements()) {
                black_box(neptune::Poseidon::new_with_preimage(elements, &constants).hash());
            }
        }));
        for (i, kernel, rounds) in [(1, Kernel::Portable, 4), (2, Kernel::Ifma, 16)] {
            times[i].push(timed(256 * rounds, || {
                for _ in 0..rounds {
                    Poseidon::of(arity)
                        .hash_nodes(kernel, black_box(&nodes), &mut hashes)
                        .unwrap();
                }
            }));
        }
        for (i, kernel) in [(3, Kernel::Portable), (4, Kernel::Ifma)] {
            times[i].push(timed(1 << 20, || {
                black_box(multiply(kernel, 1 << 20));
            }));
        }
    }
    let [neptune, portable, ifma, word, limb] = times.each_mut().map(|times| median(times));
    let (of_portable, of_ifma) = (Cost::of(arity, Kernel::Portable), Cost::of(arity, Kernel::Ifma));
    println!("arity {:>2}: neptune {neptune:>7.0} ns", arity.elements());
    let limit = of_portable.multiplications * word;
    println!(
        "  portable {portable:>7.0} ns, {:.2} times; limit {limit:>6.0} ns ({word:.4} ns × {:.0})",
        neptune / portable,
        of_portable.multiplications
    );
    let (limit, all) = (of_ifma.multiplications * limb, of_ifma.vector_operations.unwrap_or(0.0));
    println!("  ifma     {ifma:>7.0} ns, {:.2} times; limit {limit:>6.0} ns ({limb:.4} ns × {:.0}; {all:.0} vector operations)", neptune / ifma, of_ifma.multiplications);
}

fn main() {
    measure::<U2>(Arity::Two);
    measure::<U8>(Arity::Eight);
    measure::<U11>(Arity::Eleven);
}
