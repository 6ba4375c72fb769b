//! `vocalizer devices`.

use indicatif::HumanBytes;
use serde_json::json;
use vocalizer_model::{DeviceInfo, Interface, devices, interfaces};

use super::args::Devices;
use crate::exit::Exit;
use crate::output::outln;

pub(crate) fn run(args: &Devices) -> Exit {
    let devices = devices();
    if args.json {
        for DeviceInfo { id, name, is_software, memory_bytes, auto_precision, auto_reason, .. } in devices {
            let fields = json!({
                "id": id, "name": name, "is_software": is_software, "memory_bytes": memory_bytes,
                "auto_precision": auto_precision.to_string(), "auto_reason": auto_reason,
            });
            outln!("{fields}");
        }
        return Exit::Done;
    }
    for device in &devices {
        let memory = device.memory_bytes.map(|bytes| format!(", {}", HumanBytes(bytes)));
        let software = if device.is_software { ", software: used only if selected by name" } else { "" };
        outln!("{:<8}  {}{}{software}", device.id, device.name, memory.unwrap_or_default());
        outln!("          --precision auto takes {}: {}", device.auto_precision, device.auto_reason);
    }
    for interface in [Interface::Cuda, Interface::Wgpu] {
        let prefix = format!("{interface}:");
        if !interfaces().contains(&interface) {
            outln!("{:<8}  (not supported by this build)", interface.to_string());
        } else if !devices.iter().any(|device| device.id.starts_with(&prefix)) {
            outln!("{:<8}  (no device found)", interface.to_string());
        }
    }
    Exit::Done
}
