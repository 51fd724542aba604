"""What operators wrote, compiled: `compile_files` makes a `Rulebook`, which answers what an event means."""

from triage.rulebook.book import Rulebook
from triage.rulebook.compiling import EMPTY, Loaded, compile_files, load
from triage.rulebook.explaining import Explanation
from triage.rulebook.problems import Problem, RulesError, render

__all__ = ["EMPTY", "Explanation", "Loaded", "Problem", "Rulebook", "RulesError", "compile_files", "load", "render"]
