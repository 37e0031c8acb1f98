//! Crashes, full disks and signals, in front of a real host that counts what is done to it.

mod book;
mod full_disk;
mod load;
mod owner;
mod rig;
mod rounds;
mod signals;
