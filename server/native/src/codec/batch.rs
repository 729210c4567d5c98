//! A batch for Python: its fields as attributes, its items one after another.
//!
//! If this reader fails, the protobuf library reads the batch again: a defect costs no item.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyString, PyTuple};

use super::items::{Item, batch_among_others, next_item, only_batch, read_batch};
use super::wire::Cursor;
use crate::guard::guard;

/// A batch in the bytes of a message. An item becomes an object of Python when it is asked for.
#[pyclass(frozen, module = "ciosidecar_native")]
pub struct Batch {
    message: Py<PyBytes>,
    place: Range<usize>,
    #[pyo3(get)]
    batch_id: i64,
    #[pyo3(get)]
    destination: i32,
    #[pyo3(get)]
    connection: i32,
    #[pyo3(get)]
    timeout_s: Option<f64>,
    #[pyo3(get)]
    traceparent: String,
    #[pyo3(get)]
    item_count: usize,
    has_tags: bool,
    has_traceparents: bool,
    callbacks: Callbacks,
}

/// What Python gives the reader.
struct Callbacks {
    /// Stands for the options of an item that has none.
    plain: Py<PyAny>,
    /// Makes the options of any other item.
    options: Py<PyAny>,
    /// Reads a batch again, of its bytes and the exception of this reader.
    reread: Py<PyAny>,
}

#[pymethods]
impl Batch {
    /// Whether every item is a prepared request. None is: each has JSON.
    #[getter]
    fn only_prepared(&self) -> bool {
        self.item_count == 0
    }

    fn items(slf: Py<Self>) -> Items {
        let at = slf.get().place.start;
        Items {
            batch: slf,
            at,
            position: 0,
            reread: None,
        }
    }

    fn tags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.noted(py, "tags", self.has_tags, |item| match item.tag {
            b"" => None,
            tag => Some(PyBytes::new(py, tag).into_any()),
        })
    }

    fn traceparents<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let are_there = self.has_traceparents;
        self.noted(py, "traceparents", are_there, |item| {
            match item.traceparent {
                "" => None,
                traceparent => Some(PyString::new(py, traceparent).into_any()),
            }
        })
    }
}

impl Batch {
    fn cursor<'a>(&'a self, py: Python<'a>, at: usize) -> Cursor<'a> {
        Cursor::new(&self.message.as_bytes(py)[..self.place.end], at)
    }

    /// Returns what the items have of something, by position.
    ///
    /// name: of the method. are_there: whether an item has it. value: returns an item's, if any.
    fn noted<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        are_there: bool,
        value: impl Fn(Item<'_>) -> Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let noted = PyDict::new(py);
        if !are_there {
            return Ok(noted.into_any());
        }
        let read = guard(|| {
            let mut cursor = self.cursor(py, self.place.start);
            let mut position = 0;
            while let Some(item) = next_item(&mut cursor) {
                if let Some(value) = value(item) {
                    noted.set_item(position, value)?;
                }
                position += 1;
            }
            Ok(())
        });
        match read {
            Ok(()) => Ok(noted.into_any()),
            Err(fault) => self.read_again(py, fault)?.call_method0(name),
        }
    }

    /// Returns the batch as the protobuf library reads it.
    #[cold]
    fn read_again<'py>(&self, py: Python<'py>, fault: PyErr) -> PyResult<Bound<'py, PyAny>> {
        let bytes = PyBytes::new(py, &self.message.as_bytes(py)[self.place.clone()]);
        let reread = self.callbacks.reread.bind(py);
        reread.call1((bytes, fault.into_value(py)))
    }

    fn options_of<'py>(&self, py: Python<'py>, item: &Item<'_>) -> PyResult<Bound<'py, PyAny>> {
        if item.is_plain {
            return Ok(self.callbacks.plain.bind(py).clone());
        }
        self.callbacks.options.bind(py).call1((
            item.destination,
            item.connection,
            item.source_type,
            item.ordering_key,
            item.attempt,
            item.dont_batch,
            PyBytes::new(py, item.tag),
        ))
    }
}

/// An iterator over the items of a batch: the options of each, and its JSON.
#[pyclass(module = "ciosidecar_native")]
pub struct Items {
    batch: Py<Batch>,
    at: usize,
    /// Of the next item.
    position: usize,
    /// The items from the position on, if this reader failed.
    reread: Option<Py<PyIterator>>,
}

#[pymethods]
impl Items {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.reread.is_none() {
            match guard(|| self.read_next(py)) {
                Ok(item) => return Ok(item.map(Bound::into_any)),
                Err(fault) => self.read_again(py, fault)?,
            }
        }
        let reread = self.reread.as_ref();
        reread
            .and_then(|items| items.bind(py).clone().next())
            .transpose()
    }
}

impl Items {
    fn read_next<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let batch = self.batch.get();
        let mut cursor = batch.cursor(py, self.at);
        let Some(item) = next_item(&mut cursor) else {
            return Ok(None);
        };
        let options = batch.options_of(py, &item)?;
        let json = PyBytes::new(py, item.json).into_any();
        self.at = cursor.at();
        self.position += 1;
        PyTuple::new(py, [options, json]).map(Some)
    }

    #[cold]
    fn read_again(&mut self, py: Python<'_>, fault: PyErr) -> PyResult<()> {
        let batch = self.batch.get().read_again(py, fault)?;
        let mut items = batch.call_method0("items")?.try_iter()?;
        for _ in 0..self.position {
            items.next().transpose()?;
        }
        self.reread = Some(items.unbind());
        Ok(())
    }
}

/// The fields of the messages that hold a batch.
const STREAM_BATCH: u64 = 3;
const UNARY_BATCH: u64 = 3;

/// Reads a TransformStreamRequest that is an ordinary batch; None if it is anything else.
///
/// plain: stands for the options of an item that has none. options: makes those of any other item, of
/// destination, connection, source_type, ordering_key, attempt, dont_batch and tag. reread: reads the
/// batch again if this reader fails, of its bytes and the exception.
#[pyfunction]
pub fn read_stream_batch<'py>(
    message: &Bound<'py, PyBytes>,
    plain: &Bound<'py, PyAny>,
    options: &Bound<'py, PyAny>,
    reread: &Bound<'py, PyAny>,
) -> PyResult<Option<Batch>> {
    guard(|| {
        let place = only_batch(message.as_bytes(), STREAM_BATCH);
        Ok(place.and_then(|place| batch_at(message, place, [plain, options, reread])))
    })
}

/// Reads a TransformRequest or DeliverRequest with an ordinary batch; None if it has anything else.
///
/// Returns the batch, and the message without it. The arguments are those of `read_stream_batch`.
#[pyfunction]
pub fn read_unary_batch<'py>(
    message: &Bound<'py, PyBytes>,
    plain: &Bound<'py, PyAny>,
    options: &Bound<'py, PyAny>,
    reread: &Bound<'py, PyAny>,
) -> PyResult<Option<(Batch, Bound<'py, PyBytes>)>> {
    guard(|| {
        let bytes = message.as_bytes();
        let Some((place, field)) = batch_among_others(bytes, UNARY_BATCH) else {
            return Ok(None);
        };
        let Some(batch) = batch_at(message, place, [plain, options, reread]) else {
            return Ok(None);
        };
        let rest = [&bytes[..field.start], &bytes[field.end..]].concat();
        Ok(Some((batch, PyBytes::new(message.py(), &rest))))
    })
}

fn batch_at<'py>(
    message: &Bound<'py, PyBytes>,
    place: Range<usize>,
    callbacks: [&Bound<'py, PyAny>; 3],
) -> Option<Batch> {
    let fields = read_batch(&message.as_bytes()[place.clone()])?;
    let [plain, options, reread] = callbacks.map(|each| each.clone().unbind());
    let timeout_s = fields
        .timeout
        .map(|(seconds, nanos)| (seconds as f64 + f64::from(nanos) / 1e9).max(0.0));
    Some(Batch {
        batch_id: fields.batch_id,
        destination: fields.destination,
        connection: fields.connection,
        timeout_s,
        traceparent: fields.traceparent.to_owned(),
        item_count: fields.item_count,
        has_tags: fields.has_tags,
        has_traceparents: fields.has_traceparents,
        message: message.clone().unbind(),
        place,
        callbacks: Callbacks {
            plain,
            options,
            reread,
        },
    })
}
