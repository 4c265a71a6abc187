//! The `crosshome` command, as a program of its own.

fn main() -> std::process::ExitCode {
    crosshome_cli::run(std::env::args_os(), crosshome_cli::Program::current()).into()
}
