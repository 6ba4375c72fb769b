mod cancelling;
mod leasing;
mod publishing;
mod settling;
mod support;
