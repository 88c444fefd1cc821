//! A map whose copies share what they have in common: a copy costs nothing, and a change copies only what it touches.
//!
//! The state is made of these, so that a message works on a copy that is dropped when it reverts, readers keep the state of
//! the last block while the next is made, and a question works on a copy of its own, however many accounts there are.
//! The order of keys, and the serialized form, are a `BTreeMap`'s. The only module that names `rpds`.

use alloc::fmt;
use core::marker::PhantomData;
use core::ops::Index;
use rpds::RedBlackTreeMapSync;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map by key, in the order of keys.
#[derive(Clone)]
pub struct Table<K: Ord, V>(RedBlackTreeMapSync<K, V>);

impl<K: Ord, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(RedBlackTreeMapSync::new_sync())
    }
}

impl<K: Ord, V> Table<K, V> {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key)
    }

    pub fn contains_key(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    pub fn len(&self) -> usize {
        self.0.size()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }
}

impl<K: Ord + Clone, V: Clone> Table<K, V> {
    /// The value to change; it is copied when another copy of the table has it too.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    pub fn insert(&mut self, key: K, value: V) {
        self.0.insert_mut(key, value);
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let removed = self.0.get(key).cloned();
        self.0.remove_mut(key);
        removed
    }

    /// Changes the value of `key`, which is the default where there is none yet.
    pub fn change<R>(&mut self, key: &K, change: impl FnOnce(&mut V) -> R) -> R
    where
        V: Default,
    {
        match self.0.get_mut(key) {
            Some(value) => change(value),
            None => {
                let mut value = V::default();
                let result = change(&mut value);
                self.0.insert_mut(key.clone(), value);
                result
            }
        }
    }
}

impl<K: Ord, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Ord, V: Eq> Eq for Table<K, V> {}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord, V> Index<&K> for Table<K, V> {
    type Output = V;

    #[allow(clippy::indexing_slicing)] // As that of every map.
    fn index(&self, key: &K) -> &V {
        &self.0[key]
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut table = Self::default();
        table.extend(entries);
        table
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for Table<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord + Serialize, V: Serialize> Serialize for Table<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self.iter() {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, K, V> Deserialize<'de> for Table<K, V>
where
    K: Ord + Clone + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

struct Entries<K, V>(PhantomData<(K, V)>);

impl<'de, K, V> Visitor<'de> for Entries<K, V>
where
    K: Ord + Clone + Deserialize<'de>,
    V: Clone + Deserialize<'de>,
{
    type Value = Table<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut table = Table::default();
        while let Some((key, value)) = entries.next_entry()? {
            table.insert(key, value);
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    fn entries() -> impl Iterator<Item = (u32, Vec<u8>)> {
        (0..100u32).map(|n| (n.wrapping_mul(2_654_435_761), [n as u8; 3].to_vec()))
    }

    #[test]
    fn its_bytes_are_those_of_a_btree_map_and_are_read_back() {
        let (table, map): (Table<_, _>, BTreeMap<_, _>) = (entries().collect(), entries().collect());
        let bytes = |value: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = Vec::new();
            value(&mut bytes);
            bytes
        };
        let of_table = bytes(&|to| ciborium::into_writer(&table, to).unwrap());
        assert_eq!(of_table, bytes(&|to| ciborium::into_writer(&map, to).unwrap()));
        let back: Table<u32, Vec<u8>> = ciborium::from_reader(of_table.as_slice()).unwrap();
        assert_eq!(back, table);
    }

    #[test]
    fn a_change_of_a_copy_leaves_the_other_as_it_was_and_copies_nothing_but_the_value() {
        let table: Table<u32, Vec<u8>> = entries().collect();
        let before: Vec<_> = table.iter().map(|(key, value)| (*key, value.clone())).collect();
        let mut copy = table.clone();
        let (first, second) = (before[0].0, before[1].0);
        copy.get_mut(&first).unwrap().push(1);
        assert_eq!(copy.remove(&second), Some(before[1].1.clone()));
        copy.change(&7, |value| value.push(9));
        let after: Vec<_> = table.iter().map(|(key, value)| (*key, value.clone())).collect();
        assert_eq!(after, before);
        assert_eq!((copy.len(), copy.get(&7)), (100, Some(&[9].to_vec())));
        let shared = before[2..]
            .iter()
            .all(|(key, _)| core::ptr::eq(&table[key], &copy[key]));
        assert!(shared, "what was not changed lies in memory once");
    }
}
