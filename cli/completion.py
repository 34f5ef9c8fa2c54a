"""anthropo completion"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from anthropo.plain import say

#: click's name of the variable by which a shell asks.
VARIABLE = "_ANTHROPO_COMPLETE"


@click.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script with which SHELL (bash, zsh or fish) completes commands, options and their values.

    Press Tab while you type a command. Files, recipes, references, growth charts and other choices are
    completed; of a cohort that the line already names, its columns and labels, too.

    \b
    To install it, write it where the shell looks for such scripts, and open a new shell:
      bash   anthropo completion bash > ~/.local/share/bash-completion/completions/anthropo
      zsh    anthropo completion zsh > ~/.zfunc/_anthropo
      fish   anthropo completion fish > ~/.config/fish/completions/anthropo.fish

    Make the folder first if it is missing (mkdir -p). bash needs the package bash-completion; without it,
    put the second example into ~/.bashrc. zsh has to know the folder: write fpath=(~/.zfunc $fpath) into
    ~/.zshrc, before compinit is called.

    \b
    Examples:
      anthropo completion fish > ~/.config/fish/completions/anthropo.fish
      source <(anthropo completion bash)
    """
    from anthropo.cli import cli

    made = get_completion_class(shell)
    assert made is not None  # of the shells that can be chosen
    say(made(cli, {}, "anthropo", VARIABLE).source())
