"""Reading and editing attention: windows, recording and replacing, processors, text-video maps."""
