mod broker;
mod conformance;
mod support;
