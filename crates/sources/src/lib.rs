//! Where credentials come from: keystore, folder, environment, command.
