"""What a system can be asked, in canonical words, as the conformance suite tests it; and what answering takes."""
