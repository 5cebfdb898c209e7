//! The promise of the judge, by enumeration and by simulation.
