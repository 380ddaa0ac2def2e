"""What people send with their messages: nothing that it says of itself is believed."""
