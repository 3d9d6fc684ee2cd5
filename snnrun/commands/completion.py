"""`snnrun completion bash|zsh`: tab completion of verbs, flags, groups, options and keys.

The scripts call `snnrun completion words -- WORD...`, which prints the candidates for the last of these words, one a
line. It reads the YAML files as text, so that a press of the tab key does not wait for Hydra.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from snnrun.cli import VERBS
from snnrun.commands import board, report
from snnrun.commands.bench import BENCH_FLAGS
from snnrun.commands.data import ACTIONS, data_words
from snnrun.commands.eval import eval_keys
from snnrun.commands.line import Flag
from snnrun.commands.ls import FLAGS as LS_FLAGS
from snnrun.commands.train import FLAGS, RESUME
from snnrun.config.plugin_tree import with_plugins
from snnrun.config.tree import EXPERIMENT, Tree, read_section, read_tree
from snnrun.errors import UserError
from snnrun.runs import find_runs

# "=" splits words in bash, so the script takes the line apart itself and completes what stands after the last "=".
BASH = r"""
_snnrun() {
    local line="${COMP_LINE:0:COMP_POINT}" words word
    read -r -a words <<< "$line"
    [[ "$line" == *" " ]] && words+=("")
    word="${words[-1]}"
    mapfile -t COMPREPLY < <("${words[0]/#\~/$HOME}" completion words -- "${words[@]:1}" 2>/dev/null)
    [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]] && COMPREPLY=("${COMPREPLY[@]#"${word%=*}="}")
    [[ "${COMPREPLY[0]}" == *[=.] ]] && compopt -o nospace
    return 0
}
complete -o default -F _snnrun snnrun
"""

ZSH = r"""
_snnrun() {
    local -a candidates
    candidates=("${(@f)$("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    candidates=(${candidates:#})
    (( $#candidates )) || { _files; return }
    compadd -S '' -- ${(M)candidates:#*[=.]}
    compadd -- ${candidates:#*[=.]}
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -u }
compdef _snnrun snnrun
"""

SHELLS = {"bash": BASH, "zsh": ZSH}
USAGE = """usage: snnrun completion bash|zsh

Print a script that completes verbs, groups, options and keys with the tab key.

  bash: eval "$(snnrun completion bash)"     in ~/.bashrc
  zsh:  eval "$(snnrun completion zsh)"      in ~/.zshrc"""


def main(arguments: Sequence[str]) -> int:
    """Print a shell's script, or (for these scripts) the candidates for the last word of a line."""
    if arguments and arguments[0] == "words":
        for candidate in candidates(list(arguments[2:])):
            print(candidate)
    elif not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
    elif len(arguments) == 1 and arguments[0] in SHELLS:
        print(SHELLS[arguments[0]])
    else:
        raise UserError(f"completion {' '.join(arguments)}: the shell must be one of {', '.join(SHELLS)}")
    return 0


def candidates(words: Sequence[str]) -> list[str]:
    """Return what the last of `words` (those after `snnrun`) can become. Ends in "=" or "." where more follows."""
    if len(words) < 2:
        start, found = (words[0] if words else ""), [*VERBS, "--help", "--version"]
    else:
        verb, *before, start = words
        found = list(_of_verb(verb, before, start))
    return [word for word in found if word.startswith(start)]


def _of_verb(verb: str, before: Sequence[str], start: str) -> Iterable[str]:
    if verb == "train":
        return (*_of_config(start, before, FLAGS), RESUME)
    if verb == "bench":
        return (*_of_config(start, before, BENCH_FLAGS), *_of_section(start))
    if verb == "eval":
        return (*run_folders(start), *(f"{key}=" for key in eval_keys()))
    if verb == "ls":
        return (*(name for flag in LS_FLAGS for name in (flag.name, *flag.aliases)), *_filters(start))
    if verb == "show":
        return run_folders(start)
    if verb == "data":
        return data_words(before) if before else ACTIONS
    if verb == "report":
        return [f"{key}=" for key in report.KEYS]
    if verb == "board":
        return [name for flag in board.FLAGS for name in (flag.name, *flag.aliases)]
    return SHELLS if verb == "completion" else ()


def _filters(start: str) -> list[str]:
    """Return what runs can be told apart by: groups and keys; those of a section come once its name is typed."""
    tree = read_tree()
    group, equals, _ = start.partition("=")
    if equals:
        return [f"{group}={option}" for option in tree.groups.get(group, ())]
    names = [name for name in tree.names() if "." not in name or "." in start]
    return [f"{name}=" for name in ("status", *tree.groups, *names)]


def run_folders(start: str) -> list[str]:
    """Return the run folders whose paths begin with `start`: those in outputs/, or in the folder that is named."""
    folder = Path(start).expanduser() if start.endswith("/") else Path(start).expanduser().parent
    base = folder if "/" in start else Path("outputs")
    return [str(path) for path in find_runs([base])] if base.is_dir() else []


def _of_config(start: str, before: Sequence[str], flags: Sequence[Flag]) -> Iterator[str]:
    by_name = {name: flag for flag in flags for name in (flag.name, *flag.aliases)}
    if before and before[-1] in by_name and by_name[before[-1]].value is not None:
        yield from by_name[before[-1]].choices
        return
    if start.startswith("-"):
        yield from by_name
        return
    tree = with_plugins(read_tree(_config_dirs(before)), before)
    group, equals, value = start.partition("=")
    if equals and group in tree.groups:
        done, comma, _ = value.rpartition(",")  # surrogate=sigmoid,sup<TAB> in a sweep
        yield from (f"{group}={done}{comma}{option}" for option in tree.groups[group])
    elif not equals:
        yield from _names(start, tree, before)


def _names(start: str, tree: Tree, before: Sequence[str]) -> Iterator[str]:
    """Yield groups and keys. Keys of a section or group come once its name is typed, to keep the first list short."""
    prefix, dot, _ = start.partition(".")
    if not dot:
        yield from (f"{group}=" for group in tree.groups)
        yield from (f"{key.name}=" for key in tree.keys)
        yield from (f"{section.name}." for section in tree.sections)
        return
    yield from (f"{key.name}=" for keys in tree.sections.values() for key in keys)
    if prefix in tree.groups:
        typed = dict(word.split("=", 1) for word in before if "=" in word)
        preset = tree.groups[EXPERIMENT].get(typed.get(EXPERIMENT, ""))
        chosen = tree.defaults | {key.name: key.default for key in (preset.keys if preset else ())} | typed
        option = tree.groups[prefix].get(chosen.get(prefix, ""))
        yield from (f"{key.name}=" for key in (option.keys if option else ()))


def _of_section(start: str) -> Iterator[str]:
    if start.startswith("bench."):
        yield from (f"{key.name}=" for key in read_section("bench", "bench"))
    elif "=" not in start:
        yield "bench."


def _config_dirs(before: Sequence[str]) -> list[Path]:
    """Return the folder of --config-dir on the line so far, if there is one."""
    for name in ("--config-dir", "-cd"):
        if name in before[:-1]:
            return [Path(before[list(before).index(name) + 1])]
    return [Path(word.partition("=")[2]) for word in before if word.startswith("--config-dir=")]
