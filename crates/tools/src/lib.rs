//! The catalogue: what each tool takes, which action it stands for, how it runs and what it shows.
