//! What makes no proof: wrong witnesses, wrong parameters, broken arithmetic, a raised flag.

mod common;

use bellperson::groth16::prepare_verifying_key;
use common::{rng, write, Case, Shape, Test};
use sealdrop_groth16::{prove, prove_all, prove_verified, Error, Kernel, Options, Parameters, Part, Randomness, FAULT};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};

/// The fault is the process's: who sets it holds this alone.
static FAULT_LOCK: RwLock<()> = RwLock::new(());

fn kernels() -> Vec<Kernel> {
    match Kernel::detected() {
        Kernel::Portable => vec![Kernel::Portable],
        Kernel::Ifma => vec![Kernel::Portable, Kernel::Ifma],
    }
}

#[test]
fn a_tampered_witness_is_refused_before_the_sums() {
    let _right = FAULT_LOCK.read();
    for shape in [Shape::Chain(30), Shape::Bits(300), Shape::Exactly(2), Shape::Exactly(5)] {
        let case = Case::new(shape);
        for kernel in kernels() {
            let tampered = Test {
                tampered: true,
                ..case.circuit
            };
            let made = prove(tampered, &case.parameters, case.randomness, &Options::new(kernel));
            assert!(matches!(made, Err(Error::Unsatisfied)), "{shape:?}: {made:?}");
        }
    }
}

#[test]
fn a_right_witness_is_proved_and_verifies() {
    let _right = FAULT_LOCK.read();
    let case = Case::new(Shape::Bits(100));
    let key = prepare_verifying_key(case.parameters.verifying_key());
    for kernel in kernels() {
        let made = prove_verified(
            case.circuit,
            &case.parameters,
            &key,
            Randomness::draw(rng(8)),
            &Options::new(kernel),
        )
        .unwrap();
        assert_eq!(made.inputs.len(), 4);
        assert_eq!(made.report.parts.iter().map(|p| p.part).collect::<Vec<_>>(), Part::ALL);
        assert!(made.report.multiplications_fp > 6 * made.report.additions && made.report.multiplications_fr > 0);
    }
}

#[test]
fn several_circuits_are_proved_one_after_the_other() {
    let _right = FAULT_LOCK.read();
    let case = Case::new(Shape::Chain(40));
    let key = prepare_verifying_key(case.parameters.verifying_key());
    let circuits = (1..=3).map(|seed| Test { seed, ..case.circuit });
    let mut random = rng(6);
    let options = Options::new(Kernel::best());
    let made = prove_all(
        circuits,
        &case.parameters,
        &key,
        || Randomness::draw(&mut random),
        &options,
    )
    .unwrap();
    assert_eq!(made.len(), 3);
    assert!(made[0].inputs != made[1].inputs && made[0].proof != made[1].proof);
    // One wrong one among them.
    let circuits = [1, 2].map(|seed| Test {
        seed,
        tampered: seed == 2,
        ..case.circuit
    });
    let made = prove_all(
        circuits,
        &case.parameters,
        &key,
        || Randomness::draw(&mut random),
        &options,
    );
    assert!(matches!(made, Err(Error::Unsatisfied)));
}

#[test]
fn broken_arithmetic_is_refused_by_verification() {
    let _alone = FAULT_LOCK.write();
    let case = Case::new(Shape::Bits(200));
    let key = prepare_verifying_key(case.parameters.verifying_key());
    for kernel in kernels() {
        FAULT.store(true, Ordering::Relaxed);
        let made = prove_verified(
            case.circuit,
            &case.parameters,
            &key,
            case.randomness,
            &Options::new(kernel),
        );
        FAULT.store(false, Ordering::Relaxed);
        assert!(matches!(made, Err(Error::Refused)), "{made:?}");
        assert!(prove_verified(
            case.circuit,
            &case.parameters,
            &key,
            case.randomness,
            &Options::new(kernel)
        )
        .is_ok());
    }
}

#[test]
fn another_sectors_inputs_do_not_verify() {
    let _right = FAULT_LOCK.read();
    let case = Case::new(Shape::Chain(10));
    // Parameters of the same shape, but made with other secrets.
    let key = bellperson::groth16::generate_random_parameters(case.circuit, &mut rng(100)).unwrap();
    let key = prepare_verifying_key(&key.vk);
    let made = prove_verified(
        case.circuit,
        &case.parameters,
        &key,
        case.randomness,
        &Options::new(Kernel::best()),
    );
    assert!(matches!(made, Err(Error::Refused)));
}

#[test]
fn parameters_of_another_circuit_are_refused_before_they_are_indexed() {
    let _right = FAULT_LOCK.read();
    let case = Case::new(Shape::Chain(20));
    let options = Options::new(Kernel::best());
    let prove = |shape| prove(Test::new(shape, 1), &case.parameters, case.randomness, &options);
    for (shape, expected) in [
        // More or less of everything, a constraint more, a public input more.
        (Shape::Chain(21), "auxiliary variables"),
        (Shape::Chain(19), "auxiliary variables"),
        (Shape::Chain(400), "auxiliary variables"),
        (Shape::Exactly(40), "public inputs"),
        (Shape::Exactly(200), "auxiliary variables"),
        (Shape::Repeated(100), "constraints"),
        (Shape::UnusedInput, "public inputs"),
    ] {
        match prove(shape) {
            Err(Error::DoNotFit { what, .. }) => assert_eq!(what, expected, "{shape:?}"),
            other => panic!("{shape:?}: {other:?}"),
        }
    }
}

#[test]
fn parameters_with_other_densities_are_refused() {
    let _right = FAULT_LOCK.read();
    let circuit = Test::new(Shape::OneSided, 3);
    let right = circuit.parameters();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("params");
    let options = Options::new(Kernel::best());
    let what = |parameters: &bellperson::groth16::Parameters<blstrs::Bls12>| {
        write(parameters, &path);
        match prove(
            circuit,
            &Parameters::open(&path).unwrap(),
            Randomness::draw(rng(1)),
            &options,
        ) {
            Err(Error::DoNotFit { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    };
    let mut wrong = right.clone();
    std::sync::Arc::make_mut(&mut wrong.a).pop();
    assert_eq!(what(&wrong), "variables in A");
    let mut wrong = right.clone();
    std::sync::Arc::make_mut(&mut wrong.b_g1).pop();
    std::sync::Arc::make_mut(&mut wrong.b_g2).pop();
    assert_eq!(what(&wrong), "variables in B");
    let mut wrong = right.clone();
    std::sync::Arc::make_mut(&mut wrong.l).pop();
    assert_eq!(what(&wrong), "auxiliary variables");
    let mut wrong = right.clone();
    wrong.vk.ic.pop();
    assert_eq!(what(&wrong), "public inputs");
    let mut wrong = right;
    let h = wrong.h.to_vec();
    wrong.h = std::sync::Arc::new([&h[..], &h[..], &h[..1]].concat());
    assert_eq!(what(&wrong), "elements in its domain");
}

#[test]
fn a_circuit_that_fails_says_so() {
    struct Fails;
    impl bellperson::Circuit<blstrs::Scalar> for Fails {
        fn synthesize<CS: bellperson::ConstraintSystem<blstrs::Scalar>>(
            self,
            cs: &mut CS,
        ) -> Result<(), bellperson::SynthesisError> {
            cs.alloc(|| "", || Err(bellperson::SynthesisError::DivisionByZero))
                .map(|_| ())
        }
    }
    let _right = FAULT_LOCK.read();
    let case = Case::new(Shape::Chain(3));
    let made = prove(Fails, &case.parameters, case.randomness, &Options::new(Kernel::best()));
    assert!(matches!(
        made,
        Err(Error::Synthesis(bellperson::SynthesisError::DivisionByZero))
    ));
}

#[test]
fn a_proof_stops_in_every_part_and_progress_only_grows() {
    let _right = FAULT_LOCK.read();
    let case = Case::new(Shape::Bits(300));
    let never = AtomicBool::new(false);
    let seen = Mutex::new(vec![]);
    let listen = |part, done, total| seen.lock().unwrap().push((part, done, total));
    let options = Options {
        progress: &listen,
        stop: &never,
        ..Options::new(Kernel::best())
    };
    prove(case.circuit, &case.parameters, case.randomness, &options).unwrap();
    let seen = seen.into_inner().unwrap();
    for part in Part::ALL {
        let of_part: Vec<_> = seen.iter().filter(|s| s.0 == part).collect();
        assert!(of_part.iter().all(|s| s.1 <= s.2 && s.2 == of_part[0].2));
        assert_eq!((of_part[0].1, of_part.last().unwrap().1), (0, of_part[0].2));
    }
    for part in Part::ALL {
        let stop = AtomicBool::new(false);
        let raise = |now, _, _| {
            if now == part {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let options = Options {
            progress: &raise,
            stop: &stop,
            ..Options::new(Kernel::best())
        };
        let made = prove(case.circuit, &case.parameters, case.randomness, &options);
        assert!(matches!(made, Err(Error::Stopped)), "{part:?}: {made:?}");
    }
}
