//! A batch for Python: its fields as attributes, its items one after another.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

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
    plain: Py<PyAny>,
    options: Py<PyAny>,
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
        Items { batch: slf, at }
    }

    fn tags<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tags = PyDict::new(py);
        if self.has_tags {
            self.each(py, |position, item| match item.tag {
                b"" => Ok(()),
                tag => tags.set_item(position, PyBytes::new(py, tag)),
            })?;
        }
        Ok(tags)
    }

    fn traceparents<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let traceparents = PyDict::new(py);
        if self.has_traceparents {
            self.each(py, |position, item| match item.traceparent {
                "" => Ok(()),
                traceparent => traceparents.set_item(position, traceparent),
            })?;
        }
        Ok(traceparents)
    }
}

impl Batch {
    fn cursor<'a>(&'a self, py: Python<'a>, at: usize) -> Cursor<'a> {
        Cursor::new(&self.message.as_bytes(py)[..self.place.end], at)
    }

    fn each(
        &self,
        py: Python<'_>,
        mut note: impl FnMut(usize, Item<'_>) -> PyResult<()>,
    ) -> PyResult<()> {
        guard(|| {
            let mut cursor = self.cursor(py, self.place.start);
            let mut position = 0;
            while let Some(item) = next_item(&mut cursor) {
                note(position, item)?;
                position += 1;
            }
            Ok(())
        })
    }

    fn options_of<'py>(&self, py: Python<'py>, item: &Item<'_>) -> PyResult<Bound<'py, PyAny>> {
        if item.is_plain {
            return Ok(self.plain.bind(py).clone());
        }
        self.options.bind(py).call1((
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
}

#[pymethods]
impl Items {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        guard(|| {
            let batch = self.batch.get();
            let mut cursor = batch.cursor(py, self.at);
            let Some(item) = next_item(&mut cursor) else {
                return Ok(None);
            };
            self.at = cursor.at();
            let options = batch.options_of(py, &item)?;
            let json = PyBytes::new(py, item.json).into_any();
            PyTuple::new(py, [options, json]).map(Some)
        })
    }
}

/// The fields of the messages that hold a batch.
const STREAM_BATCH: u64 = 3;
const UNARY_BATCH: u64 = 3;

/// Reads a TransformStreamRequest that is an ordinary batch; None if it is anything else.
///
/// plain: stands for the options of an item that has none. options: makes those of any other item, of
/// destination, connection, source_type, ordering_key, attempt, dont_batch and tag.
#[pyfunction]
pub fn read_stream_batch<'py>(
    message: &Bound<'py, PyBytes>,
    plain: &Bound<'py, PyAny>,
    options: &Bound<'py, PyAny>,
) -> PyResult<Option<Batch>> {
    guard(|| {
        let place = only_batch(message.as_bytes(), STREAM_BATCH);
        Ok(place.and_then(|place| batch_at(message, place, plain, options)))
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
) -> PyResult<Option<(Batch, Bound<'py, PyBytes>)>> {
    guard(|| {
        let bytes = message.as_bytes();
        let Some((place, field)) = batch_among_others(bytes, UNARY_BATCH) else {
            return Ok(None);
        };
        let Some(batch) = batch_at(message, place, plain, options) else {
            return Ok(None);
        };
        let rest = [&bytes[..field.start], &bytes[field.end..]].concat();
        Ok(Some((batch, PyBytes::new(message.py(), &rest))))
    })
}

fn batch_at<'py>(
    message: &Bound<'py, PyBytes>,
    place: Range<usize>,
    plain: &Bound<'py, PyAny>,
    options: &Bound<'py, PyAny>,
) -> Option<Batch> {
    let fields = read_batch(&message.as_bytes()[place.clone()])?;
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
        plain: plain.clone().unbind(),
        options: options.clone().unbind(),
    })
}
