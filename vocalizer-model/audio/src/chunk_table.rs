//! The chunks of an MP4 or QuickTime track whose packets all have the same size: PCM and ADPCM. QuickTime counts such sound in
//! frames and states no size of packets.

use super::boxes::{be32, be64, find};
use super::error::DecodeError;
use super::input_file::InputFile;
use super::source::{Next, Packet, Source};

/// How many packets of one frame to read at once.
const PACKETS_AT_ONCE: u64 = 4_096;

/// Where the packets are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChunkTable {
    packet_bytes: u32,
    packet_frames: u32,
    /// The offsets of the chunks, and how many packets each has.
    chunks: Vec<(u64, u32)>,
}

impl ChunkTable {
    /// Reads the sample table. `packets` are the bytes and frames of each packet. Returns `None` if the table has sizes for its
    /// samples, or no chunks as in fragmented files.
    pub(super) fn read(table: &[u8], packets: (u32, u32)) -> Option<Self> {
        let (packet_bytes, packet_frames) = packets;
        let sample_bytes = be32(find(table, b"stsz")?, 4).filter(|&bytes| bytes > 0)?;
        // A sample is a packet or a frame.
        let samples_of_packet = if sample_bytes == packet_bytes { 1 } else { packet_frames };
        let runs: Vec<(u32, u32)> = rows(find(table, b"stsc")?, 12, |row| Some((be32(row, 0)?, be32(row, 4)?)));
        let offsets = match find(table, b"stco") {
            Some(list) => rows(list, 4, |row| be32(row, 0).map(u64::from)),
            None => rows(find(table, b"co64")?, 8, |row| be64(row, 0)),
        };
        let mut next_runs = runs.iter().peekable();
        let mut samples = 0;
        let chunks: Vec<(u64, u32)> = (1..)
            .zip(offsets)
            .map(|(number, offset)| {
                while let Some((_, count)) = next_runs.next_if(|(first, _)| *first <= number) {
                    samples = *count;
                }
                (offset, samples / samples_of_packet)
            })
            .collect();
        let table = Self { packet_bytes, packet_frames, chunks };
        (table.frames() > 0).then_some(table)
    }

    /// Returns the frames of all chunks.
    pub(super) fn frames(&self) -> u64 {
        let packets = self.chunks.iter().map(|(_, packets)| u64::from(*packets));
        packets.map(|packets| packets * u64::from(self.packet_frames)).fold(0, u64::saturating_add)
    }
}

/// Reads the rows of a table, which follow its version and its length.
fn rows<T>(table: &[u8], bytes: usize, read: impl Fn(&[u8]) -> Option<T>) -> Vec<T> {
    let count = be32(table, 4).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    table.get(8..).unwrap_or_default().chunks_exact(bytes).take(count).filter_map(read).collect()
}

/// Reads the packets chunk by chunk.
pub(super) struct ChunkReader {
    file: InputFile,
    table: ChunkTable,
    /// The current chunk, and how many of its packets were read.
    chunk: usize,
    done: u64,
    /// Whether the file is known to end early.
    is_cut: bool,
    ended: bool,
}

impl ChunkReader {
    pub(super) fn new(file: InputFile, table: ChunkTable, is_cut: bool) -> Self {
        Self { file, table, chunk: 0, done: 0, is_cut, ended: false }
    }
}

impl Source for ChunkReader {
    fn next(&mut self) -> Result<Next, DecodeError> {
        let packet_bytes = u64::from(self.table.packet_bytes);
        while let Some(&(offset, packets)) = self.table.chunks.get(self.chunk).filter(|_| !self.ended) {
            let left = u64::from(packets) - self.done;
            if left == 0 {
                (self.chunk, self.done) = (self.chunk + 1, 0);
                continue;
            }
            let now = if self.table.packet_frames == 1 { left.min(PACKETS_AT_ONCE) } else { 1 };
            let from = offset.saturating_add(self.done * packet_bytes);
            let mut data = self.file.bytes(from, usize::try_from(now * packet_bytes).unwrap_or(0))?;
            let whole = data.len() as u64 / packet_bytes;
            if whole == 0 {
                (self.ended, self.is_cut) = (true, true);
                break;
            }
            // At most the length of the data, so it fits.
            data.truncate(usize::try_from(whole * packet_bytes).unwrap_or(0));
            self.done += whole;
            let frames = whole * u64::from(self.table.packet_frames);
            return Ok(Next::Packet(Packet { data: data.into_boxed_slice(), frames, ..Packet::default() }));
        }
        Ok(Next::End { early: self.is_cut })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn table_of(kind: &[u8; 4], numbers: &[u32]) -> Vec<u8> {
        let body: Vec<u8> = [0].iter().chain(numbers).flat_map(|number| number.to_be_bytes()).collect();
        let size = u32::try_from(body.len() + 8).expect("a small box");
        [size.to_be_bytes().as_slice(), kind, &body].concat()
    }

    fn table(stsz: &[u32], stsc: &[u32], stco: &[u32], packets: (u32, u32)) -> Option<ChunkTable> {
        let boxes = [table_of(b"stsz", stsz), table_of(b"stsc", stsc), table_of(b"stco", stco)];
        ChunkTable::read(&boxes.concat(), packets)
    }

    #[test]
    fn samples_are_frames_or_packets() {
        let frames = table(&[1, 1_000], &[2, 1, 128, 1, 3, 64, 1], &[3, 10, 20, 30], (68, 64)).expect("a table");
        assert_eq!(frames.chunks, [(10, 2), (20, 2), (30, 1)]);
        assert_eq!(frames.frames(), 320);
        let packets = table(&[68, 5], &[1, 1, 5, 1], &[1, 10], (68, 64)).expect("a table");
        assert_eq!(packets.chunks, [(10, 5)]);
        assert_eq!(table(&[0, 5], &[1, 1, 5, 1], &[1, 10], (68, 64)), None, "sizes of their own");
        assert_eq!(table(&[68, 0], &[0], &[0], (68, 64)), None, "no chunks");
    }

    #[test]
    fn chunks_are_read_in_order_up_to_the_end_of_the_file() {
        let bytes: Vec<u8> = (0..20).collect();
        let file = InputFile::new(Box::new(Cursor::new(bytes)), 20);
        let table = table(&[4, 6], &[1, 1, 2, 1], &[3, 8, 0, 14], (4, 1)).expect("a table");
        let mut reader = ChunkReader::new(file, table, false);
        let mut read = Vec::new();
        let early = loop {
            match reader.next().expect("a packet") {
                Next::Packet(packet) => read.push((packet.data.to_vec(), packet.frames)),
                Next::End { early } => break early,
                other => panic!("{other:?}"),
            }
        };
        assert!(early, "the last chunk is incomplete");
        assert_eq!(read, [((8..16).collect::<Vec<u8>>(), 2), ((0..8).collect(), 2), ((14..18).collect(), 1)]);
    }
}
