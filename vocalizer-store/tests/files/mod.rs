mod conformance;
mod disk;
