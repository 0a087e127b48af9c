"""Names the columns that a recipe means by pattern: from then on it is that of the names."""

from pydantic import ValidationError

from flows.errors import RecipeFault
from flows.recipe.faults import describe_sentence
from flows.recipe.model import Recipe
from storage.base.errors import SourceError
from storage.forms.patterns import expand_columns, list_patterns
from storage.sources.headers import list_header


def name_columns(recipe: Recipe) -> Recipe | RecipeFault:
    """Return the recipe with the columns of its source in place of patterns, or what hinders.

    A source is looked at only where there is a pattern. Data sets, models and receipts are those of
    the names, written out.
    """
    patterns = list_patterns(recipe.data)
    if not patterns:
        return recipe
    shown = ", ".join(patterns)
    try:
        header = list_header(recipe.source)
    except SourceError as error:
        rule = f"be looked up among the columns of the source; got: {error}"
        return RecipeFault("data", shown, rule, "write the names out, or mend the source")
    if header is None:
        rule = f"be names: columns of a source {recipe.source.type} have none to look them up by"
        return RecipeFault("data", shown, rule, "write each name")
    try:
        data = expand_columns(recipe.data, header)
    except ValidationError as error:
        told = "; ".join(str(found["msg"]) for found in error.errors())
        return RecipeFault("data", shown, f"stand for columns that suit; got: {told}", "mend them")
    except ValueError as error:
        return describe_sentence("data", str(error))
    return recipe.model_copy(update={"data": data})
