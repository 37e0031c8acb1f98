//! Fakes, spawned real servers and hostile peers for the tests of every crate.
