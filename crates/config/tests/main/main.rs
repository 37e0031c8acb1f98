//! What is accepted, what is refused and where, and what a reload tells.

mod folder;
mod right;
mod schema;
mod wrong;
