"""What a system can be asked, in canonical words; the contract the conformance suite tests."""
