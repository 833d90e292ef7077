"""An assistant in a chat: it answers by a language model, and looks after reminders and flight prices."""
