//! Records in memory: for tests, and for what goes away with its process.

use super::{Changes, DatabaseError, Entry, Order, Records, Store, Table};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

type Tables = BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>;

/// A store that is gone with its last handle.
#[derive(Debug, Default)]
pub struct Memory {
    tables: Mutex<Tables>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        // Whole after a panic: a transaction undoes what it changed when it is dropped.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn view(&self, work: &mut dyn FnMut(&dyn Records)) -> Result<(), DatabaseError> {
        work(&*self.lock());
        Ok(())
    }

    fn change(&self, work: &mut dyn FnMut(&dyn Changes) -> bool) -> Result<(), DatabaseError> {
        let mut tables = self.lock();
        let transaction = Transaction {
            tables: RefCell::new(&mut tables),
            undo: RefCell::default(),
        };
        if work(&transaction) {
            transaction.undo.take();
        }
        Ok(())
    }
}

impl Records for Tables {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError> {
        Ok(BTreeMap::get(self, table.name).and_then(|records| records.get(key).cloned()))
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        most: usize,
    ) -> Result<Vec<Entry>, DatabaseError> {
        let Some(records) = BTreeMap::get(self, table.name) else {
            return Ok(Vec::new());
        };
        if to.is_some_and(|to| to <= from) {
            return Ok(Vec::new());
        }
        let to = to.map_or(Bound::Unbounded, Bound::Excluded);
        let found = records.range::<[u8], _>((Bound::Included(from), to));
        let own = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        Ok(match order {
            Order::Ascending => found.take(most).map(own).collect(),
            Order::Descending => found.rev().take(most).map(own).collect(),
        })
    }
}

struct Transaction<'a> {
    tables: RefCell<&'a mut Tables>,
    /// What stood there before, the oldest change first.
    undo: RefCell<Vec<(&'static str, Vec<u8>, Option<Vec<u8>>)>>,
}

impl Transaction<'_> {
    fn set(&self, name: &'static str, key: &[u8], value: Option<&[u8]>) -> Option<Vec<u8>> {
        let mut tables = self.tables.borrow_mut();
        let records = tables.entry(name).or_default();
        match value {
            Some(value) => records.insert(key.to_vec(), value.to_vec()),
            None => records.remove(key),
        }
    }

    fn note(&self, name: &'static str, key: &[u8], before: Option<Vec<u8>>) {
        self.undo.borrow_mut().push((name, key.to_vec(), before));
    }
}

/// Undoes what was not kept, also when the work panicked.
impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        for (name, key, before) in self.undo.take().into_iter().rev() {
            self.set(name, &key, before.as_deref());
        }
    }
}

impl Records for Transaction<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, DatabaseError> {
        Records::get(&**self.tables.borrow(), table, key)
    }

    fn range(
        &self,
        table: Table,
        from: &[u8],
        to: Option<&[u8]>,
        order: Order,
        most: usize,
    ) -> Result<Vec<Entry>, DatabaseError> {
        Records::range(&**self.tables.borrow(), table, from, to, order, most)
    }
}

impl Changes for Transaction<'_> {
    fn put(&self, table: Table, key: &[u8], value: &[u8]) -> Result<(), DatabaseError> {
        let before = self.set(table.name, key, Some(value));
        self.note(table.name, key, before);
        Ok(())
    }

    fn remove(&self, table: Table, key: &[u8]) -> Result<(), DatabaseError> {
        let before = self.set(table.name, key, None);
        self.note(table.name, key, before);
        Ok(())
    }
}
