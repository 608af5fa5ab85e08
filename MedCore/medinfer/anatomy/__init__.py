"""What is known of bodies: lungs, vertebrae in a row, teeth along an arch."""
