"""How well members judge each other, in virtual time: figures by size of the mesh and loss."""
