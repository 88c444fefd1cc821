//! The memory of one proof: big arrays in huge pages, given back when the proof is done.
//!
//! Touching fresh pages is slow (the kernel clears them: 2.5 ns a byte were measured in a virtual machine), so what one step
//! frees the next one gets: a small heap, best fit, freed neighbours joined. [`prove`](crate::prove) makes one arena for
//! its call; nothing outlives it.

use crate::Error;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The size that huge pages have on x86-64; elsewhere only an alignment.
const HUGE: usize = 2 << 20;
/// Small arrays are cut from mappings of this size.
const LEAST_MAPPING: usize = 32 << 20;
/// What arrays are rounded up to: a page, and more than any element's alignment.
const GRAIN: usize = 4096;

/// Plain data: every bit pattern is a value, so memory may be reused without being cleared.
///
/// # Safety
/// The type has no invalid bit pattern, no destructor, and an alignment of [`GRAIN`] at most.
pub(crate) unsafe trait Plain: Copy + Send + Sync + 'static {}
// SAFETY: integers.
unsafe impl Plain for u32 {}
// SAFETY: integers.
unsafe impl Plain for u64 {}
// SAFETY: integers.
unsafe impl Plain for [u64; 4] {}

#[derive(Default)]
struct Heap {
    /// Free stretches (address, bytes), sorted by address.
    free: Vec<(usize, usize)>,
    /// Mappings (address, bytes).
    mappings: Vec<(usize, usize)>,
}

/// A proof's memory.
#[derive(Default)]
pub(crate) struct Arena {
    heap: Mutex<Heap>,
}

impl Arena {
    fn heap(&self) -> MutexGuard<'_, Heap> {
        // No code that holds the lock can panic half-way through a change.
        self.heap.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Maps one stretch of `bytes` for arrays to come, unless a free one is as long, so that those of one step can lie where
    /// those of the last lay.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), Error> {
        let mut heap = self.heap();
        match heap.free.iter().any(|f| f.1 >= bytes) {
            true => Ok(()),
            false => heap.map(bytes),
        }
    }

    /// An array of `len` elements of any value.
    pub(crate) fn array<T: Plain>(self: &Arc<Self>, len: usize) -> Result<Array<T>, Error> {
        const { assert!(align_of::<T>() <= GRAIN) };
        let bytes = len
            .checked_mul(size_of::<T>())
            .and_then(|b| b.max(1).checked_next_multiple_of(GRAIN));
        let bytes = bytes.ok_or_else(|| too_much(usize::MAX))?;
        let address = self.heap().take(bytes)?;
        let pointer = NonNull::new(address as *mut T).ok_or_else(|| too_much(bytes))?;
        Ok(Array {
            arena: self.clone(),
            pointer,
            len,
            capacity: len,
            bytes,
            _owns: PhantomData,
        })
    }

    /// Room for `capacity` elements, none of them there.
    pub(crate) fn empty<T: Plain>(self: &Arc<Self>, capacity: usize) -> Result<Array<T>, Error> {
        let mut array = self.array(capacity)?;
        array.len = 0;
        Ok(array)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for (address, bytes) in self.heap().mappings.drain(..) {
            // SAFETY: a mapping of our own; every array in it held a reference to this arena, so none is left.
            unsafe { libc::munmap(address as *mut _, bytes) };
        }
    }
}

fn too_much(bytes: usize) -> Error {
    Error::OutOfMemory {
        bytes,
        source: io::ErrorKind::OutOfMemory.into(),
    }
}

impl Heap {
    fn map(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes.checked_next_multiple_of(HUGE).ok_or_else(|| too_much(bytes))?;
        // One huge page more, to begin at the edge of one.
        let total = bytes.checked_add(HUGE).ok_or_else(|| too_much(bytes))?;
        let (access, kind) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        );
        // SAFETY: a fresh anonymous mapping at an address of the system's choice.
        let p = unsafe { libc::mmap(std::ptr::null_mut(), total, access, kind, -1, 0) };
        if p == libc::MAP_FAILED {
            return Err(Error::OutOfMemory {
                bytes,
                source: io::Error::last_os_error(),
            });
        }
        let at = (p as usize).next_multiple_of(HUGE);
        #[cfg(target_os = "linux")]
        // SAFETY: a hint about our own mapping; a refusal changes nothing but speed.
        unsafe {
            libc::madvise(at as *mut _, bytes, libc::MADV_HUGEPAGE);
        }
        self.mappings.push((p as usize, total));
        self.give(at, bytes);
        Ok(())
    }

    fn give(&mut self, at: usize, bytes: usize) {
        let i = self.free.partition_point(|f| f.0 < at);
        self.free.insert(i, (at, bytes));
        if i + 1 < self.free.len() && self.free[i + 1].0 == at + bytes {
            self.free[i].1 += self.free.remove(i + 1).1;
        }
        if i > 0 && self.free[i - 1].0 + self.free[i - 1].1 == at {
            let bytes = self.free.remove(i).1;
            self.free[i - 1].1 += bytes;
        }
    }

    fn take(&mut self, bytes: usize) -> Result<usize, Error> {
        let fit = |heap: &Self| {
            let fits = heap.free.iter().enumerate().filter(|(_, f)| f.1 >= bytes);
            fits.min_by_key(|(_, f)| f.1).map(|(i, _)| i)
        };
        let i = match fit(self) {
            Some(i) => i,
            None => {
                self.map(bytes.max(LEAST_MAPPING))?;
                fit(self).ok_or_else(|| too_much(bytes))?
            }
        };
        let (at, size) = self.free[i];
        if size == bytes {
            self.free.remove(i);
        } else {
            self.free[i] = (at + bytes, size - bytes);
        }
        Ok(at)
    }
}

/// An array in an [`Arena`], which it keeps alive.
pub(crate) struct Array<T: Plain> {
    arena: Arc<Arena>,
    pointer: NonNull<T>,
    len: usize,
    capacity: usize,
    bytes: usize,
    _owns: PhantomData<T>,
}
// SAFETY: the array owns its stretch of memory, and its elements may go to other threads.
unsafe impl<T: Plain> Send for Array<T> {}
// SAFETY: as above; shared access only reads.
unsafe impl<T: Plain> Sync for Array<T> {}

impl<T: Plain> Array<T> {
    /// The elements, for code that reads and writes different ones on several threads at once.
    #[inline(always)]
    pub(crate) fn raw(&self) -> *mut T {
        self.pointer.as_ptr()
    }

    /// Appends; `false`, and nothing is changed, if it is full.
    #[inline(always)]
    #[must_use]
    pub(crate) fn push(&mut self, x: T) -> bool {
        if self.len == self.capacity {
            return false;
        }
        // SAFETY: there is room for `capacity` elements.
        unsafe { self.pointer.add(self.len).write(x) };
        self.len += 1;
        true
    }
}
impl<T: Plain> Drop for Array<T> {
    fn drop(&mut self) {
        self.arena.heap().give(self.pointer.as_ptr() as usize, self.bytes);
    }
}
impl<T: Plain> Deref for Array<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `len` elements, of a type without invalid values, in mapped memory that nobody else has.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), self.len) }
    }
}
impl<T: Plain> DerefMut for Array<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_neighbours_become_one_stretch_again() {
        let arena = Arc::new(Arena::default());
        arena.reserve(LEAST_MAPPING).unwrap();
        let thirds: Vec<Array<u64>> = (0..3).map(|_| arena.array(LEAST_MAPPING / 8 / 4).unwrap()).collect();
        drop(thirds);
        assert_eq!(arena.heap().free.len(), 1);
        let all: Array<u64> = arena.array(LEAST_MAPPING / 8).unwrap();
        assert_eq!((arena.heap().mappings.len(), all.len()), (1, LEAST_MAPPING / 8));
    }

    #[test]
    fn arrays_do_not_overlap_whatever_the_order_of_frees() {
        let arena = Arc::new(Arena::default());
        let mut held: Vec<(u64, Array<u64>)> = vec![];
        let mut x = 1u64;
        for round in 0..2000u64 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            if x >> 63 == 0 && !held.is_empty() {
                let (mark, array) = held.swap_remove((x >> 20) as usize % held.len());
                assert!(array.iter().all(|w| *w == mark));
            } else {
                let mut array = arena.array::<u64>((x >> 40) as usize % 3000).unwrap();
                array.fill(round);
                held.push((round, array));
            }
        }
    }

    #[test]
    fn a_size_that_no_system_has_is_an_error() {
        let arena = Arc::new(Arena::default());
        assert!(matches!(
            arena.array::<u64>(usize::MAX / 8),
            Err(Error::OutOfMemory { .. })
        ));
        assert!(matches!(
            arena.array::<u64>(usize::MAX / 4),
            Err(Error::OutOfMemory { .. })
        ));
        assert!(matches!(arena.reserve(usize::MAX - 5), Err(Error::OutOfMemory { .. })));
    }

    #[test]
    fn a_full_array_takes_no_more() {
        let arena = Arc::new(Arena::default());
        let mut array = arena.empty::<u32>(2).unwrap();
        assert!(array.push(1) && array.push(2) && !array.push(3));
        assert_eq!(&*array, [1, 2]);
    }
}
