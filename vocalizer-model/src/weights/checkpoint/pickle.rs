//! The pickle of a checkpoint, read as data.
//!
//! A pickle is a program for a stack machine. This interpreter knows the operations that `torch.save` writes and the few
//! names that a state dict needs. It calls nothing: a known name becomes a value of the same meaning, and any other name
//! ends the reading. Values live in one arena and refer to each other by index, so that neither copies nor nesting cost
//! memory or stack.

use std::collections::HashMap;

use super::opcodes::{Input, Op};
use crate::weights::container::MAX_DIMENSIONS;
use crate::weights::error::excerpt;
use crate::weights::{Dtype, WeightsError};

/// The published checkpoints need up to 300,000; one with the state of an optimizer three times as many.
pub(super) const MAX_VALUES: usize = 2_000_000;

/// `torch.save` nests about six levels.
pub(super) const MAX_DEPTH: usize = 64;

/// The place of a value in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(usize);

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    /// `None`, or a floating point number: nothing that a state dict needs.
    Other,
    Bool,
    Int(i64),
    Text(&'a str),
    Global(Global),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Storage(Storage<'a>),
    Tensor(Box<View<'a>>),
}

/// A name that the pickle may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Dtype),
}

/// An entry of the archive that holds values of one type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Storage<'a> {
    pub(super) dtype: Dtype,
    pub(super) name: &'a str,
    pub(super) values: usize,
}

/// A tensor: some values of a storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

/// The values of a pickle.
pub(super) struct Values<'a> {
    nodes: Vec<Node<'a>>,
    root: Id,
}

impl<'a> Values<'a> {
    /// Interprets a pickle.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if the bytes are not a whole pickle, are nested too deeply or contain themselves;
    /// [`WeightsError::Unsupported`] if they use a name or an operation that a state dict does not need.
    pub(super) fn read(pickle: &'a [u8]) -> Result<Self, WeightsError> {
        let mut input = Input::new(pickle);
        let mut machine = Machine::default();
        while let Some(op) = input.next()? {
            machine.step(op)?;
        }
        let root = machine.pop()?;
        if !machine.stack.is_empty() {
            return Err(malformed("has more than one value"));
        }
        let values = Self { nodes: machine.nodes, root };
        values.check_nesting()?;
        Ok(values)
    }

    pub(super) fn root(&self) -> &Node<'a> {
        self.get(self.root)
    }

    pub(super) fn get(&self, id: Id) -> &Node<'a> {
        self.nodes.get(id.0).unwrap_or(&Node::Other)
    }

    /// Walks through everything that the root contains.
    fn check_nesting(&self) -> Result<(), WeightsError> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.nodes.len()];
        let mut path = vec![(self.root, 0)];
        while let Some((id, next)) = path.last_mut() {
            let Some(mark) = marks.get_mut(id.0) else { return Err(malformed("refers to a missing value")) };
            *mark = Mark::Open;
            let Some(child) = child(self.get(*id), *next) else {
                *mark = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match marks.get(child.0) {
                Some(Mark::Open) => return Err(malformed("contains itself")),
                Some(Mark::New) if path.len() >= MAX_DEPTH => {
                    return Err(malformed(&format!("is nested more than {MAX_DEPTH} levels deep")));
                }
                Some(Mark::New) => path.push((child, 0)),
                Some(Mark::Done) | None => {}
            }
        }
        Ok(())
    }
}

/// Returns the value at this position in a container.
fn child(node: &Node<'_>, index: usize) -> Option<Id> {
    match node {
        Node::List(items) | Node::Tuple(items) => items.get(index).copied(),
        Node::Dict(items) => {
            items.get(index / 2).map(|(key, value)| if index.is_multiple_of(2) { *key } else { *value })
        }
        _ => None,
    }
}

fn malformed(what: &str) -> WeightsError {
    WeightsError::Malformed(format!("its pickle {what}"))
}

#[derive(Default)]
struct Machine<'a> {
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, op: Op<'a>) -> Result<(), WeightsError> {
        match op {
            Op::Other => self.push(Node::Other),
            Op::Bool => self.push(Node::Bool),
            Op::Int(value) => self.push(Node::Int(value)),
            Op::Text(text) => self.push(Node::Text(text)),
            Op::EmptyList => self.push(Node::List(Vec::new())),
            Op::EmptyDict => self.push(Node::Dict(Vec::new())),
            Op::Mark => {
                if self.marks.len() >= MAX_DEPTH {
                    return Err(malformed(&format!("is nested more than {MAX_DEPTH} levels deep")));
                }
                self.marks.push(self.stack.len());
                Ok(())
            }
            Op::Tuple(count) => {
                let items = match count {
                    Some(count) => self.take(count)?,
                    None => self.take_to_mark()?,
                };
                self.push(Node::Tuple(items))
            }
            Op::Append => self.append(1),
            Op::Appends => {
                let count = self.since_mark()?;
                self.append(count)
            }
            Op::SetItem => self.set_items(2),
            Op::SetItems => {
                let count = self.since_mark()?;
                self.set_items(count)
            }
            Op::Put(slot) => {
                let slot = slot.unwrap_or(u32::try_from(self.memo.len()).unwrap_or(u32::MAX));
                self.memo.insert(slot, self.top()?);
                if self.memo.len() > MAX_VALUES { Err(too_many()) } else { Ok(()) }
            }
            Op::Get(slot) => {
                let id = self.memo.get(&slot).copied();
                self.push_id(id.ok_or_else(|| malformed("uses a value that it has not stored"))?)
            }
            Op::Global(module, name) => self.push(Node::Global(global(module, name)?)),
            Op::StackGlobal => {
                let parts = self.take(2)?;
                match parts.iter().map(|id| self.node(*id)).collect::<Vec<_>>()[..] {
                    [&Node::Text(module), &Node::Text(name)] => self.push(Node::Global(global(module, name)?)),
                    _ => Err(malformed("names something without text")),
                }
            }
            Op::Persistent => self.storage(),
            Op::Reduce => self.reduce(),
            Op::Build => {
                // The attributes of a state dict, such as `_metadata`.
                self.pop()?;
                match self.node(self.top()?) {
                    Node::Dict(_) => Ok(()),
                    _ => Err(malformed("sets attributes of something other than a dictionary")),
                }
            }
        }
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), WeightsError> {
        if self.nodes.len() >= MAX_VALUES {
            return Err(too_many());
        }
        self.nodes.push(node);
        self.push_id(Id(self.nodes.len() - 1))
    }

    fn push_id(&mut self, id: Id) -> Result<(), WeightsError> {
        if self.stack.len() >= MAX_VALUES {
            return Err(too_many());
        }
        self.stack.push(id);
        Ok(())
    }

    fn node(&self, id: Id) -> &Node<'a> {
        self.nodes.get(id.0).unwrap_or(&Node::Other)
    }

    fn top(&self) -> Result<Id, WeightsError> {
        let open = self.marks.last().copied().unwrap_or_default();
        self.stack
            .last()
            .copied()
            .filter(|_| self.stack.len() > open)
            .ok_or_else(|| malformed("takes a value that is not there"))
    }

    fn pop(&mut self) -> Result<Id, WeightsError> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    /// Takes the upper `count` values of the stack.
    fn take(&mut self, count: usize) -> Result<Vec<Id>, WeightsError> {
        let open = self.marks.last().copied().unwrap_or_default();
        match self.stack.len().checked_sub(count) {
            Some(at) if at >= open => Ok(self.stack.split_off(at)),
            _ => Err(malformed("takes a value that is not there")),
        }
    }

    /// Returns how many values are above the upper mark, and removes the mark.
    fn since_mark(&mut self) -> Result<usize, WeightsError> {
        let mark = self.marks.pop().and_then(|mark| self.stack.len().checked_sub(mark));
        mark.ok_or_else(|| malformed("takes a mark that is not there"))
    }

    fn take_to_mark(&mut self) -> Result<Vec<Id>, WeightsError> {
        let count = self.since_mark()?;
        self.take(count)
    }

    fn append(&mut self, count: usize) -> Result<(), WeightsError> {
        let items = self.take(count)?;
        let list = self.top()?;
        match self.nodes.get_mut(list.0) {
            Some(Node::List(list)) => list.extend(items),
            _ => return Err(malformed("appends to something other than a list")),
        }
        Ok(())
    }

    fn set_items(&mut self, count: usize) -> Result<(), WeightsError> {
        let items = self.take(count)?;
        let dict = self.top()?;
        let (pairs, rest) = items.as_chunks::<2>();
        match self.nodes.get_mut(dict.0) {
            Some(Node::Dict(dict)) if rest.is_empty() => dict.extend(pairs.iter().map(|[key, value]| (*key, *value))),
            _ => return Err(malformed("sets items of something other than a dictionary")),
        }
        Ok(())
    }

    /// `('storage', type, name, place, values)`.
    fn storage(&mut self) -> Result<(), WeightsError> {
        let id = self.pop()?;
        let storage = match self.items(id)[..] {
            [
                &Node::Text("storage"),
                &Node::Global(Global::Storage(dtype)),
                &Node::Text(name),
                _,
                &Node::Int(values),
            ] => usize::try_from(values).ok().map(|values| Storage { dtype, name, values }),
            _ => None,
        };
        self.push(Node::Storage(storage.ok_or_else(|| malformed("describes a storage in an unknown way"))?))
    }

    fn reduce(&mut self) -> Result<(), WeightsError> {
        let arguments = self.pop()?;
        let function = self.pop()?;
        let arguments = match self.node(arguments) {
            Node::Tuple(_) => self.items(arguments),
            _ => return Err(malformed("calls something without arguments")),
        };
        let made = match (self.node(function), &arguments[..]) {
            (Node::Global(Global::OrderedDict), []) => Some(Node::Dict(Vec::new())),
            (
                Node::Global(Global::RebuildTensor),
                [Node::Storage(storage), Node::Int(offset), Node::Tuple(shape), Node::Tuple(strides), ..],
            ) => {
                let view = || {
                    let offset = usize::try_from(*offset).ok()?;
                    Some(View { storage: *storage, offset, shape: self.sizes(shape)?, strides: self.sizes(strides)? })
                };
                view().map(|view| Node::Tensor(view.into()))
            }
            (Node::Global(Global::RebuildParameter), [tensor @ Node::Tensor(_), ..]) => Some((*tensor).clone()),
            (Node::Global(_), _) => None,
            _ => return Err(malformed("calls something that has no name")),
        };
        self.push(made.ok_or_else(|| {
            malformed("builds a tensor or a dictionary in an unknown way, or a tensor of too many dimensions")
        })?)
    }

    /// Returns the values in a tuple, of which there are at most eight.
    fn items(&self, id: Id) -> Vec<&Node<'a>> {
        match self.node(id) {
            Node::Tuple(items) => items.iter().take(8).map(|id| self.node(*id)).collect(),
            _ => Vec::new(),
        }
    }

    /// Returns the numbers in a shape or in strides.
    fn sizes(&self, ids: &[Id]) -> Option<Vec<usize>> {
        if ids.len() > MAX_DIMENSIONS {
            return None;
        }
        let sizes = ids.iter().map(|id| match self.node(*id) {
            Node::Int(size) => usize::try_from(*size).ok(),
            _ => None,
        });
        sizes.collect()
    }
}

fn too_many() -> WeightsError {
    WeightsError::Unsupported(format!("a pickle with more than {MAX_VALUES} values"))
}

/// Finds a name. Any other name could run code in the program that a checkpoint was written for.
fn global(module: &str, name: &str) -> Result<Global, WeightsError> {
    let dtype = match (module, name) {
        ("collections", "OrderedDict") => return Ok(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => return Ok(Global::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => return Ok(Global::RebuildParameter),
        ("torch", "DoubleStorage") => Dtype::F64,
        ("torch", "FloatStorage") => Dtype::F32,
        ("torch", "HalfStorage") => Dtype::F16,
        ("torch", "BFloat16Storage") => Dtype::Bf16,
        ("torch", "LongStorage") => Dtype::I64,
        ("torch", "IntStorage") => Dtype::I32,
        ("torch", "ShortStorage") => Dtype::I16,
        ("torch", "CharStorage") => Dtype::I8,
        ("torch", "ByteStorage") => Dtype::U8,
        ("torch", "BoolStorage") => Dtype::Bool,
        _ => {
            return Err(WeightsError::Unsupported(format!(
                "its pickle uses {} {}, which a checkpoint of weights does not need and which could run code; \
                 nothing of it was run. Save the state dict alone: torch.save(model.state_dict(), FILE)",
                excerpt(module),
                excerpt(name)
            )));
        }
    };
    Ok(Global::Storage(dtype))
}
