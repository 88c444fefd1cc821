//! Functions in the order in which a module compresses best.
//!
//! What compresses a module for its way to the browser finds a repetition only if it is less than 32 kB back (RFC 1951). Most repetitions are between functions that were one
//! generic function in the source, and compilers lay those out far from each other. So each function is followed by the one of which most was in
//! what lies before it already. Nothing else changes: each body keeps its instructions, and only the numbers of functions are others.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;

use anyhow::{Context, Result};
use wasm_encoder::reencode::{utils, Error, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module};
use wasmparser::{BinaryReaderError, CodeSectionReader, FunctionBody, FunctionSectionReader, Parser, Payload, TypeRef};

/// Bytes that are looked at as one: a repetition is worth a reference from three on, and these find the long ones.
const GRAM: usize = 6;
/// Of so many grams one is looked at: which, they say themselves, so that it is the same ones everywhere.
const SAMPLED: u64 = 2;
/// Bytes before a function in which its repetitions are looked for: half of what a compressor sees, since the next ones push it on.
const WINDOW: usize = 16 * 1024;
/// A gram of more functions than these tells nothing of any.
const COMMON: usize = 2000;

/// The same module with its functions in that order.
pub fn sort(module: &[u8]) -> Result<Vec<u8>> {
    let (imported, bodies) = functions(module).context("a module cannot be read")?;
    let order = by_similarity(&bodies);
    let mut reordered = Reordered::new(imported, order);
    let mut sorted = Module::new();
    let outcome = reordered.parse_core_module(&mut sorted, Parser::new(0), module);
    outcome.map_err(|error| anyhow::anyhow!("a module's functions cannot be put in another order: {error}"))?;
    Ok(sorted.finish())
}

/// How many functions a module imports, and the bytes of its own.
fn functions(module: &[u8]) -> Result<(u32, Vec<&[u8]>), BinaryReaderError> {
    let (mut imported, mut bodies) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section {
                    imported += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(&module[body.range()]),
            _ => {}
        }
    }
    Ok((imported, bodies))
}

/// A function whose grams are compared.
struct Compared {
    grams: Vec<usize>,
    /// Grams that lie in the window.
    found: usize,
    is_placed: bool,
}

impl Compared {
    /// Whether more of it was there before than of another. Long ones weigh more, but not by their length: what they repeat is soon out of reach.
    fn exceeds(&self, other: &Self) -> bool {
        self.found * self.found * other.grams.len().max(1) > other.found * other.found * self.grams.len().max(1)
    }
}

/// Which function comes first, second, and so on.
fn by_similarity(bodies: &[&[u8]]) -> Vec<usize> {
    let (mut functions, holders) = compared(bodies);
    let mut counts = vec![0_usize; holders.len()];
    let mut window = VecDeque::new();
    let (mut held, mut unplaced) = (0, 0);
    let mut order = Vec::with_capacity(bodies.len());
    while unplaced < functions.len() {
        let mut next = unplaced;
        for (index, function) in functions.iter().enumerate().skip(unplaced) {
            if !function.is_placed && function.exceeds(&functions[next]) {
                next = index;
            }
        }
        functions[next].is_placed = true;
        order.push(next);
        window.push_back(next);
        held += bodies[next].len();
        for gram in functions[next].grams.clone() {
            counts[gram] += 1;
            if counts[gram] == 1 {
                holders[gram].iter().for_each(|&holder| functions[holder].found += 1);
            }
        }
        while held > WINDOW && window.len() > 1 {
            let Some(gone) = window.pop_front() else { break };
            held -= bodies[gone].len();
            for gram in functions[gone].grams.clone() {
                counts[gram] -= 1;
                if counts[gram] == 0 {
                    holders[gram].iter().for_each(|&holder| functions[holder].found -= 1);
                }
            }
        }
        while functions.get(unplaced).is_some_and(|function| function.is_placed) {
            unplaced += 1;
        }
    }
    order
}

/// Each function's sampled grams, by number; and for each of these the functions that have it.
fn compared(bodies: &[&[u8]]) -> (Vec<Compared>, Vec<Vec<usize>>) {
    let mut numbers = HashMap::new();
    let mut holders: Vec<Vec<usize>> = Vec::new();
    let mut functions = Vec::with_capacity(bodies.len());
    for (index, body) in bodies.iter().enumerate() {
        let sampled: BTreeSet<u64> = body
            .windows(GRAM)
            .map(hash)
            .filter(|hash| hash % SAMPLED == 0)
            .collect();
        let grams: Vec<usize> = sampled
            .into_iter()
            .map(|hash| {
                *numbers.entry(hash).or_insert_with(|| {
                    holders.push(Vec::new());
                    holders.len() - 1
                })
            })
            .collect();
        grams.iter().for_each(|&gram| holders[gram].push(index));
        functions.push(Compared {
            grams,
            found: 0,
            is_placed: false,
        });
    }
    for holder in &mut holders {
        if !(2..=COMMON).contains(&holder.len()) {
            holder.clear();
        }
    }
    (functions, holders)
}

/// FNV-1a, and its high bits mixed into the low ones.
fn hash(gram: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &byte in gram {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^ hash >> 32
}

/// Writes a module with its own functions in another order.
struct Reordered {
    imported: u32,
    /// By its new place, each function's former one.
    order: Vec<usize>,
    /// By its former place, each function's new one.
    places: Vec<u32>,
}

impl Reordered {
    fn new(imported: u32, order: Vec<usize>) -> Self {
        let mut places = vec![0; order.len()];
        for (place, &former) in (0..).zip(&order) {
            places[former] = place;
        }
        Self {
            imported,
            order,
            places,
        }
    }
}

impl Reencode for Reordered {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Infallible>> {
        Ok(match function.checked_sub(self.imported) {
            None => function,
            Some(own) => self.imported + self.places[own as usize],
        })
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let types: Vec<u32> = section.into_iter().collect::<Result<_, _>>()?;
        for &former in &self.order {
            functions.function(types[former]);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Infallible>> {
        let bodies: Vec<FunctionBody<'_>> = section.into_iter().collect::<Result<_, _>>()?;
        for former in self.order.clone() {
            utils::parse_function_body(self, code, bodies[former].clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{
        EntityType, ExportKind, ExportSection, Function, ImportSection, Instruction, TypeSection, ValType,
    };

    /// One import, and for each number a function that is like every other one, and calls the one after it.
    fn module(numbers: &[i32]) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I32]);
        let mut imports = ImportSection::new();
        imports.import("host", "called", EntityType::Function(0));
        let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
        for (place, number) in (0_u32..).zip(numbers) {
            functions.function(0);
            exports.export(&format!("f{number}"), ExportKind::Func, place + 1);
            let mut function = Function::new([]);
            for times in 0..8 {
                function.instruction(&Instruction::I32Const(1000 + times * (number % 2)));
                function.instruction(&Instruction::Drop);
            }
            function.instruction(&Instruction::I32Const(*number));
            let last = place as usize + 1 == numbers.len();
            let callee = if last { 0 } else { place + 2 };
            function.instruction(&Instruction::Call(callee));
            function.instruction(&Instruction::End);
            code.function(&function);
        }
        let mut module = Module::new();
        module.section(&types).section(&imports).section(&functions);
        module.section(&exports).section(&code);
        module.finish()
    }

    /// What each export's function is: its body up to the call, and the name of what it calls.
    fn meaning(module: &[u8]) -> Vec<(String, Vec<i32>, String)> {
        let (imported, _) = functions(module).unwrap();
        let (mut names, mut calls) = (Vec::new(), Vec::new());
        for payload in Parser::new(0).parse_all(module) {
            match payload.unwrap() {
                Payload::ExportSection(section) => {
                    names.extend(
                        section
                            .into_iter()
                            .map(|export| export.unwrap())
                            .map(|it| (it.index, it.name.to_string())),
                    );
                }
                Payload::CodeSectionEntry(body) => {
                    let (mut constants, mut callee) = (Vec::new(), 0);
                    for operator in body.get_operators_reader().unwrap() {
                        match operator.unwrap() {
                            wasmparser::Operator::I32Const { value } => constants.push(value),
                            wasmparser::Operator::Call { function_index } => callee = function_index,
                            _ => {}
                        }
                    }
                    calls.push((constants, callee));
                }
                _ => {}
            }
        }
        let name = |index: u32| {
            let found = names.iter().find(|(of, _)| *of == index);
            found.map_or("host".to_string(), |(_, name)| name.clone())
        };
        let mut meaning: Vec<_> = (imported..)
            .zip(calls)
            .map(|(index, (constants, callee))| (name(index), constants, name(callee)))
            .collect();
        meaning.sort();
        meaning
    }

    #[test]
    fn every_name_still_leads_to_the_same_function_and_that_to_the_same_callees() {
        let numbers: Vec<i32> = (1..40).collect();
        let before = module(&numbers);
        let after = sort(&before).unwrap();
        assert!(before != after, "nothing was sorted");
        assert_eq!(meaning(&after), meaning(&before));
    }

    #[test]
    fn each_function_comes_once_and_after_what_is_like_it() {
        let (like, unlike): (Vec<u8>, Vec<u8>) = ((0..200).collect(), (0..200).rev().collect());
        let order = by_similarity(&[&like, &unlike, &[1, 2], &like, &unlike]);
        assert_eq!(order, [0, 3, 1, 4, 2]);
    }

    #[test]
    fn the_order_is_the_same_each_time() {
        let before = module(&[5, 3, 8, 1, 9, 2, 7]);
        assert!(sort(&before).unwrap() == sort(&before).unwrap());
    }
}
