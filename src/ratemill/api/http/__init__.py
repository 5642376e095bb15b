"""HTTP itself, below every dialect: connections and their bounds, who may send a body, and what every answer has."""
