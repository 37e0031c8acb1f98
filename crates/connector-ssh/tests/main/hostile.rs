//! Hosts that mean harm.
