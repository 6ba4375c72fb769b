mod cancelling;
mod conformance;
mod leasing;
mod publishing;
mod settling;
mod support;
