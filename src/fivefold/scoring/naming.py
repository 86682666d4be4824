"""Names of the features that a model's preprocessing makes of a table's columns."""

from ..models.serialization import Saved

UNNAMED = "feature {}"


def names_of(saved: Saved, width: int) -> list[str]:
    """Return the name of each of `width` features of a table, as `preprocessing.scaling` has them; numbers if mixed."""
    schema, preprocess = saved.schema, saved.model.preprocess
    names, labels, place = list(schema.features), {}, 0
    for known in schema.columns:
        labels[place] = known.name, (*known.categories, "other", "missing")
        place += len(known.features)
    for i, kind in enumerate(preprocess.kinds):

        def whole(array: str, i: int = i) -> list[int]:
            return [int(value) for value in preprocess.get_buffer(f"{array}_{i}").tolist()]

        match kind:
            case "indicate":
                names += [f"{names[j]} missing" for j in whole("index")]
            case "one_hot":
                pairs = [(labels[j], code) for j, code in zip(whole("column"), whole("code"), strict=True)]
                names = [
                    *(names[j] for j in whole("keep")),
                    *(f"{name}={words[code]}" for (name, words), code in pairs),
                ]
            case "take":
                names = [names[j] for j in whole("index")]
            case "project" | "dense":
                names = []
    return names if len(names) == width else [UNNAMED.format(i) for i in range(width)]
