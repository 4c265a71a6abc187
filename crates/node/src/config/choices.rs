//! Settings that are one of a few words.

use crosshome_core::{grant::Right, policy::Strategy};
use serde_json::{Value as Json, json};

use super::setting::Scalar;

/// Declares an enum whose variants are words, and how it is read and shown.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $variant),+
        }

        impl $name {
            /// Returns the word for it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        words! { $name { $($variant = $word),+ } }
    };
}

/// Reads and shows an enum by its words.
macro_rules! words {
    ($name:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl Scalar for $name {
            const CHOICES: &'static [&'static str] = &[$($word),+];

            fn expected() -> String {
                format!("one of {}", Self::CHOICES.join(", "))
            }

            fn schema() -> Json {
                json!({"enum": Self::CHOICES})
            }

            fn parse(text: &str) -> Option<Self> {
                match text.trim() {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            fn show(&self) -> Json {
                json!(match self {
                    $(Self::$variant => $word),+
                })
            }
        }
    };
}

/// The core names the strategies; a configuration writes them by these names.
impl Scalar for Strategy {
    const CHOICES: &'static [&'static str] = &["latest-wins", "merge", "user-choice", "custom"];

    fn expected() -> String {
        format!("one of {}", Self::CHOICES.join(", "))
    }

    fn schema() -> Json {
        json!({"enum": Self::CHOICES})
    }

    fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok()
    }

    fn show(&self) -> Json {
        json!(self.name())
    }
}

words! { Right { Read = "read", Control = "control", Edit = "edit" } }

choices! {
    /// How much the log tells.
    LogLevel {
        /// What needs a person.
        Error = "error",
        /// What degrades.
        Warn = "warn",
        /// The life of the home.
        Info = "info",
        /// Every frame.
        Debug = "debug",
        /// Every timer, and entity values.
        Trace = "trace",
    }
}

choices! {
    /// How the log is written.
    LogFormat {
        /// Lines for people on a terminal, JSON elsewhere.
        Auto = "auto",
        /// Lines for people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_written_as_the_core_names_them() {
        let names = Strategy::ALL.map(Strategy::name);
        assert_eq!(<Strategy as Scalar>::CHOICES, names);
        assert_eq!(names.map(<Strategy as Scalar>::parse), Strategy::ALL.map(Some));
    }
}
