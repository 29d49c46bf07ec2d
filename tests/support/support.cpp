namespace assistiv::test {}
