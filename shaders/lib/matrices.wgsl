// Products of small matrices that a subgroup computes at once: MATRIX_M × MATRIX_K by MATRIX_K × MATRIX_N, of f16 into sums in f32.

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Sum = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;
