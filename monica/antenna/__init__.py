"""What goes on air in the room: one announcement at a time, by priority, through a speaker that says what it plays."""
