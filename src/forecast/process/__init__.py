"""The sales process: pipelines of stages as data, with their history."""

from forecast.process.changing import PipelineChange, pipeline_history, set_pipeline
from forecast.process.definition import (
    DEFAULT_PIPELINE,
    PipelineDefinition,
    StageDefinition,
    StageUse,
    default_pipeline,
    make_pipeline,
)
from forecast.process.drafting import draft_pipeline, unknown_stages
from forecast.process.stored import (
    get_pipeline,
    is_stored,
    opportunity_custom_fields,
    read_pipelines,
    read_stages,
)
from forecast.process.toml_files import pipeline_toml, read_pipeline_file

__all__ = [
    "DEFAULT_PIPELINE",
    "PipelineChange",
    "PipelineDefinition",
    "StageDefinition",
    "StageUse",
    "default_pipeline",
    "draft_pipeline",
    "get_pipeline",
    "is_stored",
    "make_pipeline",
    "opportunity_custom_fields",
    "pipeline_history",
    "pipeline_toml",
    "read_pipeline_file",
    "read_pipelines",
    "read_stages",
    "set_pipeline",
    "unknown_stages",
]
