"""Forms: made from an adapter's `Config`, and the job editor."""

from __future__ import annotations

from desktop.forms.endpoint import EndpointDialog
from desktop.forms.form import FieldForm
from desktop.forms.job import JobDialog

__all__ = ["EndpointDialog", "FieldForm", "JobDialog"]
